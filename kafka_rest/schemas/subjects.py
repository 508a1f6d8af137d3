"""Under which subject a schema is registered: the name strategies."""

from collections.abc import Callable

NameStrategy = Callable[[str, str], str]


def topic_name_subject(topic: str, side: str) -> str:
    """`TOPIC-key` or `TOPIC-value`; `side` is `key` or `value`."""
    return f"{topic}-{side}"
