"""The consumer instances of a worker: names, ends, expiry, bounds."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kafka_rest import errors
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription
from kafka_rest.kafka.instances import ConsumerInstances, InstanceLimits
from kafka_rest.kafka.patterns import TopicPattern
from kafka_rest.records import Deadline, TopicPartition
from tests.stack import wait_for
from tests.unit.fakes import FakeClock, FakeConsumer, FakeReads

IDLE_SECONDS = 300.0
MATCH_SECONDS = 30.0


class Bench:
    """Instances on fake consumers and a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.consumers: list[FakeConsumer] = []
        self.making = threading.Event()
        self.making.set()
        limits = InstanceLimits(
            count=3,
            idle_seconds=IDLE_SECONDS,
            close_seconds=0.1,
            match_seconds=MATCH_SECONDS,
            per_principal=2,
        )
        self.topics: list[str] = []
        self.besides = 0
        self.instances = ConsumerInstances(
            self._make, limits, lambda _: self.topics, self.clock, self._beside
        )

    def _beside(self) -> None:
        self.besides += 1

    def _make(self, description: InstanceDescription) -> ConsumerInstance:
        self.making.wait(5)
        if description.name == "bad":
            raise errors.InvalidConsumerConfig("bad")

        def client(config: dict[str, Any]) -> Any:
            self.consumers.append(FakeConsumer(config, self.clock))
            return self.consumers[-1]

        return ConsumerInstance(description, {}, threading.Event(), FakeReads(), client, self.clock)

    def create(self, name: str, group: str = "g", principal: str = "") -> ConsumerInstance:
        return self.instances.create(
            InstanceDescription(group, name, "binary", "smallest", False, principal=principal)
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.instances.close(Deadline(2))


def test_name_is_unique_in_its_group_only(bench: Bench) -> None:
    bench.create("a")
    bench.create("a", group="other")
    with pytest.raises(errors.InstanceExists):
        bench.create("a")


def test_conflict_says_how_idle_the_other_is(bench: Bench) -> None:
    bench.create("a")
    bench.clock.advance(42)
    with pytest.raises(errors.InstanceExists, match="42 s ago"):
        bench.create("a")


def test_name_is_free_at_once_after_delete(bench: Bench) -> None:
    bench.create("a")
    bench.instances.delete("g", "a")
    assert bench.consumers[0].closed.is_set()
    bench.create("a")


def test_name_of_a_failed_creation_is_released(bench: Bench) -> None:
    for _ in range(5):
        with pytest.raises(errors.InvalidConsumerConfig):
            bench.create("bad")
    assert len(bench.instances) == 0


def test_name_is_reserved_while_the_instance_is_made(bench: Bench) -> None:
    bench.making.clear()
    maker = threading.Thread(target=bench.create, args=("a",))
    maker.start()
    while not len(bench.instances):
        pass
    with pytest.raises(errors.InstanceExists):
        bench.create("a")
    with pytest.raises(errors.InstanceNotFound, match="still being made"):
        bench.instances.get("g", "a")
    bench.making.set()
    maker.join(5)
    assert bench.instances.get("g", "a").description.name == "a"


def test_instance_too_many_is_refused_with_a_hint(bench: Bench) -> None:
    for name in "abc":
        bench.create(name)
    with pytest.raises(errors.TooManyRequests, match=r"consumer\.instances\.max") as refused:
        bench.create("d")
    assert refused.value.headers == {"Retry-After": "1"}


def test_unused_instance_expires_and_says_so(bench: Bench) -> None:
    bench.create("a")
    bench.clock.advance(IDLE_SECONDS + 1)
    bench.instances.expire()
    assert bench.consumers[0].closed.wait(5)
    with pytest.raises(errors.InstanceNotFound, match="expired after 300000 ms"):
        bench.instances.get("g", "a")


def test_used_instance_does_not_expire(bench: Bench) -> None:
    instance = bench.create("a")
    bench.clock.advance(IDLE_SECONDS - 1)
    instance.commit(Deadline(1, bench.clock))
    bench.clock.advance(2)
    bench.instances.expire()
    assert bench.instances.get("g", "a") is instance


def test_ticking_is_no_use(bench: Bench) -> None:
    bench.create("a")
    for _ in range(int(IDLE_SECONDS) + 1):
        bench.clock.advance(1)
        bench.instances.tick()
    bench.instances.expire()
    with pytest.raises(errors.InstanceNotFound):
        bench.instances.get("g", "a")


def test_unknown_instance_says_what_is_known(bench: Bench) -> None:
    with pytest.raises(errors.InstanceNotFound, match="since this worker started"):
        bench.instances.get("g", "never")
    bench.create("a")
    bench.instances.delete("g", "a")
    with pytest.raises(errors.InstanceNotFound, match="deleted by a client"):
        bench.instances.delete("g", "a")


def test_close_closes_every_client(bench: Bench) -> None:
    for name in "abc":
        bench.create(name)
    bench.instances.close(Deadline(5))
    assert all(consumer.closed.is_set() for consumer in bench.consumers)


def test_instance_that_is_made_while_all_are_closed_is_closed_too(bench: Bench) -> None:
    bench.making.clear()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(bench.create, "a")
        wait_for(lambda: len(bench.instances) == 1, what="the reserved name")
        bench.instances.close(Deadline(1))
        bench.making.set()
        with pytest.raises(errors.ServiceUnavailable, match="being stopped"):
            late.result(5)
    assert bench.consumers[0].closed.is_set()
    assert len(bench.instances) == 0


@pytest.mark.parametrize("deleted", [False, True], ids=["there", "deleted"])
def test_close_waits_for_those_that_are_joining(bench: Bench, deleted: bool) -> None:
    bench.create("a").subscribe_once(("t",), Deadline(1))
    consumer = bench.consumers[0]
    consumer.close_gate.clear()
    if deleted:
        bench.instances.delete("g", "a")
    assert not consumer.closed.is_set()
    threading.Timer(0.05, consumer.close_gate.set).start()
    bench.instances.close(Deadline(5))
    assert consumer.closed.is_set()


def test_one_that_a_call_holds_while_it_is_deleted_leaves_afterwards(bench: Bench) -> None:
    instance, consumer = bench.create("a"), bench.consumers[0]
    holds, let_go = threading.Event(), threading.Event()

    def slowly(*_: object, **__: object) -> list[Any]:
        holds.set()
        let_go.wait(5)
        return []

    consumer.committed = slowly  # type: ignore[method-assign]
    place = [TopicPartition("t", 0)]
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(instance.committed, place, Deadline(5))
        assert holds.wait(5)
        late = pool.submit(instance.commit, Deadline(60))
        bench.instances.delete("g", "a")
        bench.instances.see_off()
        assert not consumer.closed.is_set()
        let_go.set()
        assert held.result(5) == {}
        # Whoever waits behind it is told at once.
        assert isinstance(late.exception(5), errors.InstanceNotFound)
    bench.instances.see_off()
    assert instance.wait_left(Deadline(5))
    assert consumer.closed.is_set()


def test_close_says_who_has_not_left(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.create("a").subscribe_once(("t",), Deadline(1))
    bench.consumers[0].close_gate.clear()
    bench.instances.close(Deadline(0.05))
    assert "consumer has not left its group in time group=g instance=a" in caplog.text
    bench.consumers[0].close_gate.set()


def test_client_may_have_so_many_however_they_end(bench: Bench) -> None:
    bench.create("a", principal="ann")
    for _ in range(3):
        with pytest.raises(errors.InvalidConsumerConfig):
            bench.create("bad", principal="ann")
    bench.create("b", principal="ann")
    with pytest.raises(errors.TooManyRequests, match="ann has 2 consumer instances") as failed:
        bench.create("c", principal="ann")
    assert failed.value.headers == {"Retry-After": "1"}
    bench.create("c", principal="bob")
    bench.instances.delete("g", "c")
    bench.instances.delete("g", "a")
    bench.create("a", principal="ann")
    bench.clock.advance(IDLE_SECONDS)
    bench.instances.expire()
    bench.create("a", principal="ann")
    bench.create("b", principal="ann")


def test_clients_that_nobody_knows_have_no_limit_of_their_own(bench: Bench) -> None:
    for name in "abc":
        bench.create(name)


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_housekeeping_goes_on_where_no_thread_can_be_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.create("a").subscribe_pattern(TopicPattern("t.*"), [], Deadline(1))
    bench.clock.advance(IDLE_SECONDS + 1)
    before = bench.besides
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        bench.instances.keep_house()
    assert bench.besides > before
    assert caplog.text.count("can't start new thread") >= 2
    bench.instances.keep_house()
    assert bench.consumers[0].closed.wait(5)


def test_instance_that_fails_to_be_matched_keeps_no_other_from_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_topic: str) -> bool:
        raise RuntimeError("odd")

    bench.create("a").subscribe_pattern(TopicPattern("t.*", fail), [], Deadline(1))
    other = bench.create("b")
    other.subscribe_pattern(TopicPattern("t.*"), [], Deadline(1))
    bench.topics = ["t1"]
    bench.clock.advance(MATCH_SECONDS)
    bench.instances.match()
    wait_for(lambda: other.subscription.topics == ("t1",), seconds=5, what="the topic that matches")
    assert "topics not matched instance=a reason=odd" in caplog.text
