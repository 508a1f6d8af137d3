"""Topic patterns: full match, without Kafka's own topics, in linear time."""

import pytest

from kafka_rest.errors import Unprocessable
from kafka_rest.kafka.patterns import LONGEST_PATTERN, TopicPattern

TOPICS = ["a", "ab", "b.1", "b.2", "__consumer_offsets", "_schemas"]


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("a", ("a",)),
        ("a.*", ("a", "ab")),
        (r"b\.\d", ("b.1", "b.2")),
        ("(?:a|b.1)", ("a", "b.1")),
        (".*", ("_schemas", "a", "ab", "b.1", "b.2")),
        ("nope", ()),
        (" ", ()),
        ("^ab$", ("ab",)),
    ],
)
def test_pattern_matches_whole_names(text: str, matched: tuple[str, ...]) -> None:
    assert TopicPattern(text).matches(TOPICS) == matched


@pytest.mark.parametrize(
    "text", ["", "(", "[", "*", "(?=a)", r"(a)\1", "a" * (LONGEST_PATTERN + 1)]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match="topic_pattern"):
        TopicPattern(text)


def test_pattern_that_stops_other_engines_does_not_stop_this_one() -> None:
    assert TopicPattern("(a+)+b").matches(["a" * 249]) == ()
