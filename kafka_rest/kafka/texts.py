"""Texts of clients that would be others for librdkafka: for it a text ends at its first NUL.

Not for the names of topics: `kafka.metadata.legal_topic` is stricter.
"""

from kafka_rest.errors import InvalidConsumerConfig, Unprocessable, because

# What librdkafka strips off the front of a property, by C's isspace.
_STRIPPED = frozenset(" \t\n\v\f\r")


def uncut(text: str, place: str) -> str:
    """The text of a place in a body, if it holds no NUL. Raises: Unprocessable."""
    if "\0" in text:
        raise Unprocessable(f"{place}: it may not hold a NUL.")
    return text


def require_group(group: str) -> None:
    """Refuse a group that librdkafka would cut to another one, or to none.

    With none left, confluent-kafka's consumer aborts the process. Raises: InvalidConsumerConfig.
    """
    if group[0] in _STRIPPED:
        raise because(InvalidConsumerConfig, "the group begins with a blank.")
    if "\0" in group:
        raise because(InvalidConsumerConfig, "the group holds a NUL.")
