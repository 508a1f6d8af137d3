"""Requests a second: how many, of whom, and when again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from kafka_rest.errors import TooManyRequests
from kafka_rest.security import rates as module
from kafka_rest.security.rates import Rates
from tests.unit.fakes import FakeClock


def taken(rates: Rates, principal: str, most: int) -> int:
    """How many are let through."""
    count = 0
    try:
        while count < most:
            rates.take(principal)
            count += 1
    except TooManyRequests:
        pass
    return count


def test_client_has_a_seconds_worth_and_then_its_rate() -> None:
    clock = FakeClock()
    rates = Rates(10, clock)
    assert taken(rates, "ann", 100) == 10
    assert taken(rates, "ann", 100) == 0
    assert taken(rates, "bob", 100) == 10
    clock.advance(0.5)
    assert taken(rates, "ann", 100) == 5
    clock.advance(3600)
    assert taken(rates, "ann", 100) == 10


def test_refusal_says_when_again_and_counts_nothing() -> None:
    clock = FakeClock()
    rates = Rates(1, clock)
    rates.take("ann")
    for _ in range(5):
        with pytest.raises(TooManyRequests, match="ann may make 1 a second") as failed:
            rates.take("ann")
        assert failed.value.headers == {"Retry-After": "1"}
    clock.advance(1)
    rates.take("ann")


def test_request_that_is_given_back_does_not_count() -> None:
    rates = Rates(2, FakeClock())
    for _ in range(10):
        rates.take("ann")
        rates.give_back("ann")
    assert taken(rates, "ann", 100) == 2
    # Of one that has been forgotten meanwhile nothing is owed.
    rates.give_back("bob")
    assert taken(rates, "bob", 100) == 2


def test_so_many_clients_are_counted() -> None:
    rates = Rates(1, FakeClock())
    for number in range(module.CLIENTS + 1):
        rates.take(str(number))
    # The first has been forgotten, the last not.
    rates.take("0")
    with pytest.raises(TooManyRequests):
        rates.take(str(module.CLIENTS))


def test_threads_take_no_more_together() -> None:
    rates = Rates(1000, FakeClock())
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: taken(rates, "ann", 500), range(8))) == 1000
