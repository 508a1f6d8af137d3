"""Topic patterns: which topics a regular expression names.

RE2, whose time is linear in the name whatever the pattern: one that a client sends must not be able
to stop a worker. It is what Kafka itself takes for such subscriptions since 4.0; Java's look-around
and back references it lacks.
"""

from collections.abc import Callable, Iterable

from kafka_rest.errors import Unprocessable

# Kafka's own topics are never part of a match (reference behaviour).
INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})
LONGEST_PATTERN = 1000


class TopicPattern:
    """A compiled pattern. Raises: Unprocessable for one that does not compile.

    `allowed` says of a topic whether whoever asked for the pattern may have it; None: all.
    """

    def __init__(self, text: str, allowed: Callable[[str], bool] | None = None) -> None:
        if not text or len(text) > LONGEST_PATTERN:
            raise Unprocessable(
                f"topic_pattern: it must have 1 to {LONGEST_PATTERN} characters (has {len(text)})."
            )
        # Imported here: few servers ever see a pattern, and the library is C++ with all it brings.
        import re2

        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            raise Unprocessable(
                f"topic_pattern: it is no regular expression (RE2 syntax): {_reason(error)}."
            ) from error
        self.text, self._allowed = text, allowed

    def matches(self, topics: Iterable[str]) -> tuple[str, ...]:
        """The topics whose whole name matches, sorted, as far as they are allowed."""
        return tuple(
            sorted(
                topic
                for topic in topics
                if topic not in INTERNAL_TOPICS
                and self._compiled.fullmatch(topic)
                and (self._allowed is None or self._allowed(topic))
            )
        )


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
