"""Content negotiation: the reference's outcomes, and the deliberate exceptions."""

import pytest

from kafka_rest.api.v1 import offers
from kafka_rest.errors import NotAcceptable, UnsupportedMediaType
from kafka_rest.media import Negotiation, bare_type

V1, KAFKA, JSON = offers.V1, offers.KAFKA, offers.JSON
BIN, AVRO, EJSON = (offers.embedded_type(name) for name in ("binary", "avro", "json"))

topics = Negotiation(offers.TOPICS)
produce = Negotiation(offers.PRODUCE_TO_TOPIC)
produce_partition = Negotiation(offers.PRODUCE_TO_PARTITION)
read = Negotiation(offers.READ_TOPIC)
consumers = Negotiation(offers.CONSUMERS)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, V1),
        ("", V1),
        ("*/*", V1),
        ("*", V1),
        ("application/*", V1),
        ("application", V1),
        (f"{V1};qs=0.9, {KAFKA};qs=0.8, {JSON}", V1),
        (f"{V1};q=0.8, {KAFKA};q=0.9, {JSON};q=0.7", KAFKA),
        (f"{V1};q=0.8, {KAFKA};q=0.7, {JSON};q=0.9", JSON),
        (f"  {JSON} ,  {KAFKA};q=0.5 ", JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", V1),
        ("APPLICATION/JSON", JSON),
        (f"{JSON}; charset=utf-8", JSON),
        (f"{V1};q=0, {JSON}", JSON),
        (f"{V1};q=0, */*", KAFKA),
        (f', {JSON},, application/;q=1, "a,b"', JSON),
    ],
)
def test_answer_type_follows_the_accept_header(accept: str | None, expected: str) -> None:
    assert topics.choose(None, accept).response_type == expected


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain",
        "foo",
        f"{V1};q=0",
        "*/*;q=0",
        "application/",
        "a/b/c",
        ";",
        ",",
        "q=2",
        "x" * 9000,
    ],
)
def test_what_cannot_be_given_or_read_is_406_and_names_what_can(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"vnd\.kafka\.v1"):
        topics.choose(None, accept)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, "binary"),
        ("", "binary"),
        (V1, "binary"),
        (KAFKA, "binary"),
        (JSON, "binary"),
        ("application/octet-stream", "binary"),
        (BIN, "binary"),
        (EJSON, "json"),
        (AVRO, "avro"),
        (f"{AVRO}; charset=utf-8", "avro"),
        (AVRO.upper(), "avro"),
    ],
)
def test_content_type_picks_the_format_of_a_produce(
    content_type: str | None, expected: str
) -> None:
    assert produce.choose(content_type, None).variant.embedded_format == expected


@pytest.mark.parametrize("content_type", ["text/plain", "foo", "application/", "x" * 9000])
def test_other_content_type_is_415_and_names_what_works(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"vnd\.kafka\.avro\.v1"):
        produce.choose(content_type, None)


@pytest.mark.parametrize("content_type", [BIN, AVRO, EJSON])
def test_metadata_does_not_read_embedded_types(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        topics.choose(content_type, None)


def test_content_type_is_looked_at_first() -> None:
    with pytest.raises(UnsupportedMediaType):
        topics.choose("text/plain", "text/plain")


@pytest.mark.parametrize("accept", [BIN, AVRO, EJSON])
def test_topic_produce_does_not_answer_in_embedded_types(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        produce.choose(BIN, accept)


def test_partition_produce_answers_in_all_embedded_types_but_json() -> None:
    assert produce_partition.choose(EJSON, AVRO).response_type == AVRO
    assert produce_partition.choose(EJSON, BIN).response_type == BIN
    with pytest.raises(NotAcceptable):
        produce_partition.choose(EJSON, EJSON)


@pytest.mark.parametrize(
    ("accept", "expected_format", "expected_type"),
    [
        (None, "binary", BIN),
        ("*/*", "binary", BIN),
        (V1, "binary", V1),
        (KAFKA, "binary", KAFKA),
        (JSON, "binary", JSON),
        (AVRO, "avro", AVRO),
        (EJSON, "json", EJSON),
        (f"{AVRO}, {JSON}", "binary", JSON),
        (f"{AVRO}, */*", "binary", BIN),
        (f"{AVRO}, {JSON};q=0.5", "avro", AVRO),
    ],
)
def test_accept_picks_the_format_of_a_read(
    accept: str | None, expected_format: str, expected_type: str
) -> None:
    choice = read.choose(None, accept)
    assert (choice.variant.embedded_format, choice.response_type) == (
        expected_format,
        expected_type,
    )


def test_consumer_calls_answer_in_every_type() -> None:
    for accept in (V1, KAFKA, JSON, BIN, AVRO, EJSON):
        assert consumers.choose(None, accept).response_type == accept


@pytest.mark.parametrize(
    ("header", "expected"),
    [("a/b", "a/b"), ("A/B ; x=y", "a/b"), ("a", None), ("a/", None), ("", None), ("a/b/c", None)],
)
def test_bare_type_drops_parameters_and_case(header: str, expected: str | None) -> None:
    assert bare_type(header) == expected
