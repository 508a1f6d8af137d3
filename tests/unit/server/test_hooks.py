"""What a worker does when it is told to stop."""

import signal
from collections.abc import Iterator

import pytest

from kafka_rest import settings
from kafka_rest.server.hooks import Server


@pytest.fixture
def stops() -> Iterator[list[int]]:
    """The signals that gunicorn's handler has got."""
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: got.append(number))
    yield got
    signal.signal(signal.SIGTERM, before)


def test_second_term_gives_no_more_time(stops: list[int]) -> None:
    server = Server(settings.load(None, {}))
    server._drain_at_term(None)
    signal.raise_signal(signal.SIGTERM)
    first = server._deadline
    assert first is not None
    signal.raise_signal(signal.SIGTERM)
    assert server._deadline is first
    assert stops == [signal.SIGTERM] * 2
