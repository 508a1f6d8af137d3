"""What others answer over HTTP, read within a time and a size. Asks nobody by itself."""

from typing import Protocol

from kafka_rest.records import Deadline

PIECE_BYTES = 1 << 16


class Answer(Protocol):
    """What is read of an answer over HTTP."""

    def read1(self, n: int, /) -> bytes:
        """What has come, once anything has; b"" at the end."""
        ...


class TooLong(Exception):
    """The answer has more bytes than are wanted."""


def content_of(answer: Answer, deadline: Deadline, most_bytes: int) -> bytes:
    """All of an answer. Raises: TimeoutError at the deadline, TooLong.

    The time-out of a socket is one for each call: an answer that trickles in would have no end.
    """
    content = bytearray()
    while piece := answer.read1(PIECE_BYTES):
        content += piece
        if len(content) > most_bytes:
            raise TooLong(f"the answer has more than {most_bytes} bytes")
        if deadline.expired:
            raise TimeoutError("the answer did not come in time")
    return bytes(content)
