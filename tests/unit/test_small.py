"""The small pure things: pinning, deadlines, errors, the latch."""

import threading

import pytest

from kafka_rest import errors
from kafka_rest.core.pending import Pending
from kafka_rest.pinning import mint_instance, owner_peer, owner_slot
from kafka_rest.records import Deadline
from tests.unit.fakes import FakeClock


def test_owner_is_the_same_everywhere_and_spread() -> None:
    owners = [owner_slot("g", f"i{n}", 4) for n in range(400)]
    assert owners == [owner_slot("g", f"i{n}", 4) for n in range(400)]
    assert {owners.count(slot) > 50 for slot in range(4)} == {True}
    assert owner_slot("a", "b", 1) == 0
    assert owner_slot("\udcff", "ü", 4) in range(4)


def test_group_and_instance_are_kept_apart() -> None:
    assert any(owner_slot("ab", f"c{n}", 64) != owner_slot("a", f"bc{n}", 64) for n in range(9))


def test_minted_name_belongs_to_its_maker() -> None:
    for slot in range(4):
        name = mint_instance("g", slot, 4, "rest-consumer-")
        assert owner_slot("g", name, 4) == slot
        assert name.startswith("rest-consumer-")


@pytest.mark.parametrize(("peers", "slots"), [(2, 2), (3, 2), (2, 4), (4, 4)])
def test_instances_are_spread_over_the_workers_of_all_peers(peers: int, slots: int) -> None:
    names = [f"i{n}" for n in range(200 * peers * slots)]
    owners = [(owner_peer("g", name, peers), owner_slot("g", name, slots, peers)) for name in names]
    everywhere = [(peer, slot) for peer in range(peers) for slot in range(slots)]
    assert min(owners.count(place) for place in everywhere) > 100


def test_lone_proxy_owns_everything_where_it_did() -> None:
    assert {owner_peer("g", f"i{n}", 1) for n in range(50)} == {0}
    assert [owner_slot("g", f"i{n}", 4, 1) for n in range(50)] == [
        owner_slot("g", f"i{n}", 4) for n in range(50)
    ]


def test_minted_name_belongs_to_its_maker_in_a_cluster() -> None:
    for peer in range(3):
        for slot in range(2):
            name = mint_instance("g", slot, 2, "rest-consumer-", peer, 3)
            assert owner_peer("g", name, 3) == peer
            assert owner_slot("g", name, 2, 3) == slot


def test_deadline_counts_down_and_stops_at_zero() -> None:
    clock = FakeClock()
    deadline = Deadline(2, clock)
    clock.advance(1.5)
    assert deadline.left() == pytest.approx(0.5)
    assert deadline.sooner(9).left() == pytest.approx(0.5)
    assert deadline.sooner(0.1).left() == pytest.approx(0.1)
    clock.advance(5)
    assert deadline.left() == 0
    assert deadline.expired


@pytest.mark.parametrize("kind", errors.ERRORS.values(), ids=lambda kind: str(kind.error_code))
def test_error_status_follows_from_its_code(kind: type[errors.RestError]) -> None:
    error = kind()
    assert error.status == int(str(kind.error_code)[:3])
    assert error.text == kind.message
    assert errors.because(kind, "It was so.").text == f"{kind.message} It was so."


def test_error_codes_are_unique() -> None:
    kinds = errors.RestError.__subclasses__()
    assert len(errors.ERRORS) == len(kinds)


class Source:
    """Something that completes when it is expired."""

    def __init__(self, pending: "Pending[str]") -> None:
        self._pending = pending

    def expire(self) -> None:
        self._pending.set("expired")


def test_result_that_nothing_brings_is_a_504() -> None:
    pending: Pending[str] = Pending(Deadline(0.01))
    with pytest.raises(errors.GatewayTimeout):
        pending.wait(0.01)


def test_result_may_come_before_during_or_after_the_wait() -> None:
    early: Pending[str] = Pending(Deadline(5))
    early.set("early")
    assert early.wait() == "early"
    late: Pending[str] = Pending(Deadline(5))
    timer = threading.Timer(0.02, late.set, ("late",))
    timer.start()
    assert late.wait() == "late"
    timer.join()
    never: Pending[str] = Pending(Deadline(0.01))
    never.source = Source(never)
    assert never.wait() == "expired"


def test_result_is_passed_on_once_whoever_comes_first() -> None:
    got: list[str] = []
    first: Pending[str] = Pending(Deadline(5))
    first.then(got.append)
    first.set("a")
    second: Pending[str] = Pending(Deadline(5))
    second.set("b")
    second.then(got.append)
    assert got == ["a", "b"]
