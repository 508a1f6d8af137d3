"""A short soak: nothing is lost, no 5xx, and what clients cost is given back when they leave."""

from collections.abc import Iterator

import pytest

from tests.performance.soak import SETTINGS, Outcome, run
from tests.stack import Proxy, Stack

SECONDS, INTERVAL = 20.0, 5.0
# A second producer, which workers get when brokers are near, has threads of its own.
ONE_PRODUCER = {"producer.max.in.flight.requests.per.connection": "5"}
# Workers keep connections to each other for the next relayed request, as many as there were at a
# time: those of five clients with consumers, both ends of both directions. A leak of one descriptor
# for each rude client, mistake or consumer would be more.
RELAYS = 5 * 2 * 2


@pytest.fixture(scope="module")
def outcome(stack: Stack) -> Iterator[Outcome]:
    """What came of it; about 40 s with warming up, settling and reading back."""
    with Proxy(stack, SETTINGS | ONE_PRODUCER) as proxy:
        yield run(proxy, SECONDS, INTERVAL)


def test_every_request_is_answered_as_it_should_be(outcome: Outcome) -> None:
    assert outcome.book.faults == []
    assert {status // 100 for _kind, status in outcome.book.answers} == {2, 4}


def test_no_acknowledged_record_is_lost(outcome: Outcome) -> None:
    assert outcome.lost == []
    # Three formats and two versions, for the warm-up and for the run itself.
    assert len(outcome.book.ledgers) == 12
    assert all(ledger.acknowledged for ledger in outcome.book.ledgers.values())


def test_threads_and_descriptors_are_given_back(outcome: Outcome) -> None:
    assert outcome.after.threads <= outcome.before.threads
    assert outcome.after.descriptors <= outcome.before.descriptors + RELAYS
    busiest = max(moment.tree.threads for moment in outcome.moments)
    assert busiest > outcome.before.threads, "no consumer was there: nothing was put to the test"
