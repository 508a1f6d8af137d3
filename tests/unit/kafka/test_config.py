"""Settings as librdkafka configuration: defaults, Java's names, what the library knows."""

from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from kafka_rest import settings as s
from kafka_rest.kafka import config, librdkafka

SCRAM = (
    "org.apache.kafka.common.security.scram.ScramLoginModule required "
    'username="al\\"ice" password="p w;";'
)


def settings(*overrides: str) -> s.Settings:
    return s.load(overrides=overrides)


def producer(*overrides: str) -> dict[str, Any]:
    return config.producer_config(settings(*overrides))


def consumer(*overrides: str) -> dict[str, Any]:
    return config.consumer_config(settings(*overrides))


def test_library_takes_our_defaults() -> None:
    Producer(producer()).flush(0)
    Consumer({**consumer(), "group.id": "g"}).close()
    AdminClient(config.admin_config(settings()))


def complaint(name: str, make: type[Producer] | type[Consumer]) -> str:
    """What the library says to a value that is valid for no property."""
    config = {"group.id": "g"} if make is Consumer else {}
    try:
        client = make({**config, name: "\x01no"})
    except (KafkaException, ValueError, TypeError) as error:
        return str(error)
    if isinstance(client, Consumer):
        client.close()
    return ""


@pytest.mark.parametrize("kind", ["SHARED", "PRODUCER", "CONSUMER"])
def test_properties_are_those_of_the_library(kind: str) -> None:
    """A property that it does not know, or of the other kind of client, would stop a start."""
    make = Consumer if kind == "CONSUMER" else Producer
    for name in getattr(librdkafka, kind):
        assert "No such configuration property" not in complaint(name, make), name
    assert "No such configuration property" in complaint("no.such.property", make)


def test_defaults_that_differ_on_purpose() -> None:
    made = producer()
    assert made["acks"] == "all"
    assert made["linger.ms"] == 0
    assert made["sticky.partitioning.linger.ms"] == 10
    assert made["partitioner"] == "murmur2_random"
    assert "max.in.flight.requests.per.connection" not in made
    assert consumer()["enable.auto.offset.store"] is False
    assert consumer()["allow.auto.create.topics"] is False


def test_clients_measure_nothing_for_brokers_unless_told_to() -> None:
    for make in (config.producer_config, config.consumer_config, config.admin_config):
        assert make(settings())["enable.metrics.push"] is False
        told = make(settings("client.enable.metrics.push=true"))
        assert told["enable.metrics.push"] == "true"


def test_prefetch_is_bounded_in_records_as_well() -> None:
    made = config.consumer_config(settings())
    assert made["queued.min.messages"] == 5_000
    assert made["queued.max.messages.kbytes"] == 8_192


def test_more_specific_prefix_wins() -> None:
    made = producer(
        "linger.ms=1", "client.client.id=c", "producer.linger.ms=3", "client.linger.ms=2"
    )
    assert made["linger.ms"] == "3"
    assert made["client.id"] == "c"
    assert "linger.ms" not in consumer("client.linger.ms=2")


def test_keys_without_a_prefix_reach_the_clients_that_know_them() -> None:
    both = ("compression.type=gzip", "fetch.max.wait.ms=5", "unheard.of=1")
    assert producer(*both)["compression.type"] == "gzip"
    assert "fetch.wait.max.ms" not in producer(*both)
    assert consumer(*both)["fetch.wait.max.ms"] == "5"
    assert "unheard.of" not in producer(*both)
    assert config.translation_warnings(settings(*both)) == []


def test_forced_settings_cannot_be_changed() -> None:
    made = consumer("consumer.enable.auto.offset.store=true", "consumer.enable.partition.eof=true")
    assert made["enable.auto.offset.store"] is False
    assert made["enable.partition.eof"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("buffer.memory=33554432", {"queue.buffering.max.kbytes": "32768"}),
        ("buffer.memory=1", {"queue.buffering.max.kbytes": "1"}),
        ("max.request.size=2000", {"message.max.bytes": "2000"}),
        ("max.request.size=20", {"message.max.bytes": "1000"}),
        ("delivery.timeout.ms=5000", {"message.timeout.ms": 5000}),
        ("retries=3", {"message.send.max.retries": "3"}),
        ("client.sasl.mechanism=PLAIN", {"sasl.mechanisms": "PLAIN"}),
        (
            f"client.sasl.jaas.config={SCRAM}",
            {"sasl.username": 'al"ice', "sasl.password": "p w;"},
        ),
        (
            "client.ssl.endpoint.identification.algorithm=",
            {"ssl.endpoint.identification.algorithm": "none"},
        ),
    ],
)
def test_java_name_is_translated(given: str, expected: dict[str, Any]) -> None:
    made = producer(given)
    assert {name: made.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "given",
    [
        "max.poll.records=5",
        "client.interceptor.classes=x",
        "producer.no.such.property=1",
        "client.sasl.jaas.config=com.sun.Krb5LoginModule required password=hunter2;",
    ],
)
def test_what_has_no_counterpart_is_named_once_without_its_secrets(given: str) -> None:
    warnings = config.translation_warnings(settings(given))
    assert len(warnings) == 1
    assert given.partition("=")[0].removeprefix("client.").removeprefix("producer.") in warnings[0]
    assert "hunter2" not in warnings[0]


def test_protocol_of_an_address_is_the_security_protocol() -> None:
    made = producer("bootstrap.servers=SASL_SSL://a:1,SASL_SSL://b:2")
    assert made["bootstrap.servers"] == "a:1,b:2"
    assert made["security.protocol"] == "SASL_SSL"
    assert "security.protocol" not in producer()


def test_record_is_not_sent_after_its_request_has_ended() -> None:
    assert producer("produce.timeout.ms=1000")["message.timeout.ms"] == 1000
    for longer in ("delivery.timeout.ms=99999", "producer.message.timeout.ms=0"):
        assert producer("produce.timeout.ms=1000", longer)["message.timeout.ms"] == 1000


def test_max_block_ms_bounds_the_wait_for_a_topic_and_for_room() -> None:
    assert config.block_seconds(settings()) == 5
    assert config.block_seconds(settings("max.block.ms=1000")) == 1
    assert config.block_seconds(settings("max.block.ms=1000", "producer.max.block.ms=2000")) == 2


def test_server_defaults_for_consumers_that_say_nothing() -> None:
    assert config.default_offset_reset(settings()) == "largest"
    assert config.default_offset_reset(settings("auto.offset.reset=smallest")) == "smallest"
    assert config.default_auto_commit(settings()) is None
    for given in ("auto.commit.enable=true", "consumer.enable.auto.commit=TRUE"):
        assert config.default_auto_commit(settings(given)) is True


def test_new_group_protocol_drops_what_the_broker_decides() -> None:
    made = consumer("consumer.group.protocol=consumer", "consumer.session.timeout.ms=6000")
    assert "session.timeout.ms" not in made
