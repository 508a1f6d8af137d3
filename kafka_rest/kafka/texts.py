"""Texts of clients that would be others for librdkafka: for it a text ends at its first NUL.

Not for the names of topics that are looked up before they are used: no legal name is cut.
"""

from kafka_rest.errors import InvalidConsumerConfig, because

# What librdkafka strips off the front of a property, by C's isspace.
_STRIPPED = frozenset(" \t\n\v\f\r")


def require_group(group: str) -> None:
    """Refuse a group that librdkafka would cut to another one, or to none.

    With none left, confluent-kafka's consumer aborts the process. Raises: InvalidConsumerConfig.
    """
    if group[0] in _STRIPPED:
        raise because(InvalidConsumerConfig, "the group begins with a blank.")
    if "\0" in group:
        raise because(InvalidConsumerConfig, "the group holds a NUL.")
