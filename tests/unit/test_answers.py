"""Answers of others over HTTP: they have an end in time and in size."""

import pytest

from kafka_rest.answers import TooLong, content_of
from kafka_rest.records import Deadline
from tests.unit.fakes import FakeClock


class Trickle:
    """An answer that brings its pieces a second apart."""

    def __init__(self, clock: FakeClock, *pieces: bytes) -> None:
        self._clock, self._pieces = clock, iter(pieces)

    def read1(self, _n: int, /) -> bytes:
        self._clock.now += 1
        return next(self._pieces, b"")


def test_answer_has_an_end_in_time_and_size() -> None:
    clock = FakeClock()

    def content(*pieces: bytes) -> bytes:
        return content_of(Trickle(clock, *pieces), Deadline(5.0, clock), 1000)

    assert content(b"{", b"}") == b"{}"
    with pytest.raises(TimeoutError):
        content(*[b" "] * 6)
    assert len(content(b"x" * 1000)) == 1000
    with pytest.raises(TooLong, match="more than 1000 bytes"):
        content(b"x" * 1000, b"x")
