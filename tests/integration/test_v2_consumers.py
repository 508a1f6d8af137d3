"""v2's consumers at work together: groups, patterns, seeks, and many long polls side by side."""

import ctypes
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import cimpl

from tests.stack import Proxy, Stack, wait_for

POLLERS = 20


@pytest.fixture(scope="module")
def wide(stack: Stack) -> Iterator[Proxy]:
    """A proxy with room for many long polls, that looks for new topics every second."""
    settings = {"consumer.topic.metadata.refresh.interval.ms": "1000"}
    with Proxy(stack, settings, workers=2, threads=48) as running:
        yield running


def subscribe(proxy: Proxy, consumer: str, **body: Any) -> None:
    reply = proxy.v2("POST", f"{consumer}/subscription", body)
    assert reply.status == 204, reply


def test_idle_member_does_not_hold_up_a_rebalance(wide: Proxy, stack: Stack) -> None:
    topic, group = stack.create_topic(2), f"g{uuid.uuid4().hex[:8]}"
    first, second = wide.create_v2(group, format="json"), wide.create_v2(group, format="json")
    subscribe(wide, first, topics=[topic])
    stack.produce(topic, [(p, None, b"%d" % p) for p in (0, 1)])
    assert len(wide.read_all(first, 2, "json")) == 2
    assert wide.v2("POST", f"{first}/offsets").status == 200
    # From here on the first one does nothing by itself.
    subscribe(wide, second, topics=[topic])

    def shared() -> bool:
        wide.v2("GET", f"{second}/records?timeout=200", fmt="json")
        return len(wide.v2("GET", f"{second}/assignments").json["partitions"]) == 1

    wait_for(shared, 20, "the second member has a partition")
    # The idle one hears of its new assignment at its next tick.
    (left,) = wait_for(lambda: wide.v2("GET", f"{first}/assignments").json["partitions"])
    (right,) = wide.v2("GET", f"{second}/assignments").json["partitions"]
    assert {left["partition"], right["partition"]} == {0, 1}
    # What the first one has read of the partition that it lost is not committed again.
    assert wide.v2("POST", f"{first}/offsets").status == 200
    stack.produce(topic, [(right["partition"], None, b'"new"')])
    assert [r["value"] for r in wide.read_all(second, 1, "json")] == ["new"]
    for consumer in (first, second):
        assert wide.v2("DELETE", consumer).status == 204


def test_header_whose_name_is_not_text_is_named_and_ends_nothing(wide: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    for name in (b"a", b"\xff", b"b"):
        produce_with_header(stack, topic, name)
    pids = wide.worker_pids()
    consumer = wide.create_v2(format="binary", include="headers")
    assert wide.v2("POST", f"{consumer}/subscription", {"topics": [topic]}).status == 204
    (first,) = wide.read_all(consumer, 1, "binary", "?timeout=5000")
    assert first["headers"] == [{"name": "a", "value": "eA=="}]
    for _ in range(3):
        reply = wide.v2("GET", f"{consumer}/records?timeout=5000", fmt="binary")
        assert (reply.status, reply.json["error_code"]) == (408, 40801), reply
        assert f"topic {topic}, partition 0, offset 1" in reply.json["message"]
    behind = {"offsets": [{"topic": topic, "partition": 0, "offset": 2}]}
    assert wide.v2("POST", f"{consumer}/positions", behind).status == 204
    assert wide.read_all(consumer, 1, "binary", "?timeout=5000")[0]["offset"] == 2
    assert wide.worker_pids() == pids


def produce_with_header(stack: Stack, topic: str, name: bytes) -> None:
    """Produce a record with a header of this name, any bytes, as other languages can."""
    library = ctypes.CDLL(cimpl.__file__)
    for function in ("rd_kafka_conf_new", "rd_kafka_new"):
        getattr(library, function).restype = ctypes.c_void_p
    config, said = ctypes.c_void_p(library.rd_kafka_conf_new()), ctypes.create_string_buffer(200)
    servers = stack.bootstrap.encode()
    assert library.rd_kafka_conf_set(config, b"bootstrap.servers", servers, said, 200) == 0
    client = ctypes.c_void_p(library.rd_kafka_new(0, config, said, 200))
    assert client, said.value
    topic_tag, value_tag, header_tag, end_tag = 1, 4, 9, 0
    word, size = ctypes.c_char_p, ctypes.c_ssize_t
    failed = library.rd_kafka_producev(
        client,
        *(topic_tag, word(topic.encode()), value_tag, word(b"v"), size(1)),
        *(header_tag, word(name), word(b"x"), size(1), end_tag),
    )
    assert failed == 0
    assert library.rd_kafka_flush(client, 20_000) == 0
    library.rd_kafka_destroy(client)


def test_every_record_is_read_once_while_members_come_and_go(wide: Proxy, stack: Stack) -> None:
    """Each member commits what it has read before it leaves: nothing is skipped."""
    topic, group = stack.create_topic(3), f"g{uuid.uuid4().hex[:8]}"
    stack.produce(topic, [(n % 3, None, b"%d" % n) for n in range(300)])

    def life(rounds: int) -> list[int]:
        consumer = wide.create_v2(group, format="json")
        subscribe(wide, consumer, topics=[topic])
        seen: list[int] = []
        for _ in range(rounds):
            path = f"{consumer}/records?timeout=1500&max_bytes=40"
            read = wide.v2("GET", path, fmt="json")
            assert read.status == 200, read
            committed = wide.v2("POST", f"{consumer}/offsets")
            # A rebalance between the two may refuse the commit; never silently.
            assert committed.status in (200, 500), committed
            seen += [record["value"] for record in read.json]
        assert wide.v2("DELETE", consumer).status == 204
        return seen

    with ThreadPoolExecutor(3) as pool:
        found = {n for seen in pool.map(life, [4, 6, 8]) for n in seen}
    last = wide.create_v2(group, format="json")
    subscribe(wide, last, topics=[topic])

    def all_there() -> bool:
        reply = wide.v2("GET", f"{last}/records", fmt="json")
        found.update(record["value"] for record in reply.json)
        return found == set(range(300))

    wait_for(all_there, 30, "every record")


def test_pattern_finds_topics_that_come_later(wide: Proxy, stack: Stack) -> None:
    stem = f"p{uuid.uuid4().hex[:8]}"
    consumer = wide.create_v2(format="json")
    subscribe(wide, consumer, topic_pattern=f"{stem}-.*")
    assert wide.v2("GET", f"{consumer}/subscription").json == {"topics": []}
    assert wide.v2("GET", f"{consumer}/records?timeout=200", fmt="json").json == []
    topic = stack.create_topic(name=stem)
    stack.create_topic(name=f"not-{stem}")
    stack.produce(topic, [(0, None, b"1")])
    assert [r["topic"] for r in wide.read_all(consumer, 1, "json")] == [topic]
    assert wide.v2("GET", f"{consumer}/subscription").json == {"topics": [topic]}
    assert wide.v2("DELETE", f"{consumer}/subscription").status == 204
    assert wide.v2("GET", f"{consumer}/assignments").json == {"partitions": []}


def test_subscription_gives_way_to_an_assignment(wide: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"1")])
    consumer = wide.create_v2(format="json")
    for _ in range(3):
        subscribe(wide, consumer, topics=[topic])
        assert len(wide.read_all(consumer, 1, "json")) == 1
        assert wide.v2("DELETE", f"{consumer}/subscription").status == 204
        body = {"partitions": [{"topic": topic, "partition": 0}]}
        assert wide.v2("POST", f"{consumer}/assignments", body).status == 204
        assert len(wide.read_all(consumer, 1, "json")) == 1
        assert wide.v2("POST", f"{consumer}/assignments", {"partitions": []}).status == 204


@pytest.mark.parametrize("by_itself", [False, True])
def test_instance_that_has_left_its_group_commits(
    wide: Proxy, stack: Stack, lane: str, by_itself: bool
) -> None:
    """What it has read by hand, and what it is told without reading anything."""
    if lane == "embedded":
        pytest.skip("a group that once had members takes commits of members alone there")
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"1"), (0, None, b"2")])
    asked = {"partitions": [{"topic": topic, "partition": 0}]}
    group = f"g{uuid.uuid4().hex[:8]}"
    consumer = wide.create_v2(group, format="json", **{"auto.commit.enable": by_itself})

    def stored() -> list[int]:
        found = wide.v2("GET", f"{consumer}/offsets", asked).json["offsets"]
        return [each["offset"] for each in found]

    subscribe(wide, consumer, topics=[topic])
    assert len(wide.read_all(consumer, 2, "json")) == 2
    assert wide.v2("DELETE", f"{consumer}/subscription").status == 204
    told = {"offsets": [{"topic": topic, "partition": 0, "offset": -1}]}
    assert wide.v2("POST", f"{consumer}/offsets", told).status == 200
    assert stored() == [0]
    assert wide.v2("POST", f"{consumer}/assignments", asked).status == 204
    assert len(wide.read_all(consumer, 2, "json")) == 2
    if not by_itself:
        assert wide.v2("POST", f"{consumer}/offsets").status == 200
    wait_for(lambda: stored() == [2])
    # It may become a member again.
    assert wide.v2("DELETE", f"{consumer}/subscription").status == 204
    subscribe(wide, consumer, topics=[topic])
    stack.produce(topic, [(0, None, b"3")])
    assert [record["value"] for record in wide.read_all(consumer, 1, "json")] == [3]


def test_consumer_by_hand_reads_on_when_it_is_moved_while_it_has_much_to_read(
    wide: Proxy, stack: Stack
) -> None:
    """A commit serves what comes meanwhile, and holds a flood of records up until the next read."""
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(2000)])
    consumer = wide.create_v2(format="json")
    place = {"topic": topic, "partition": 0}
    body = {"partitions": [place]}
    assert wide.v2("POST", f"{consumer}/assignments", body).status == 204
    for _ in range(3):
        (first, *_) = wide.read_all(consumer, 1, "json", "?max_bytes=10")
        for _ in range(20):
            assert wide.v2("POST", f"{consumer}/offsets").status == 200
        offset = {"offsets": [place | {"offset": first["offset"] + 100}]}
        assert wide.v2("POST", f"{consumer}/positions", offset).status == 204
    rest = wide.read_all(consumer, 1700, "json")
    assert [record["offset"] for record in rest] == list(range(300, 2000))


def test_seek_by_time_finds_the_first_record_after_it(wide: Proxy, stack: Stack, lane: str) -> None:
    topic = stack.create_topic()
    path = f"/topics/{topic}?include=timestamp"
    for second in (100, 200, 300):
        body = {"records": [{"value": second, "timestamp": second * 1000}]}
        assert wide.v2("POST", path, body, "json").status == 200
    consumer = wide.create_v2(format="json")
    place = {"topic": topic, "partition": 0}
    assert wide.v2("POST", f"{consumer}/assignments", {"partitions": [place]}).status == 204
    if lane == "embedded":
        # It has no time index: every time is after its last record.
        expected: dict[Any, list[int]] = {150: []}
    else:
        expected = {150: [200, 300], "1970-01-01T00:03:20Z": [200, 300], 0: [100, 200, 300]}
    for moment, values in expected.items():
        body = {"timestamps": [{**place, "timestamp": moment}]}
        assert wide.v2("POST", f"{consumer}/positions", body).status == 204
        found = wide.v2("GET", f"{consumer}/records?timeout=500", fmt="json").json
        assert [record["value"] for record in found] == values
    late = {"timestamps": [{**place, "timestamp": "2100-01-01T00:00:00Z"}]}
    assert wide.v2("POST", f"{consumer}/positions", late).status == 204
    assert wide.v2("GET", f"{consumer}/records?timeout=300", fmt="json").json == []


def test_long_polls_keep_nobody_waiting(wide: Proxy, stack: Stack) -> None:
    quiet, busy = stack.create_topic(), stack.create_topic()
    consumers = [wide.create_v2(format="json") for _ in range(POLLERS)]
    body = {"partitions": [{"topic": quiet, "partition": 0}]}
    for consumer in consumers:
        assert wide.v2("POST", f"{consumer}/assignments", body).status == 204
    with ThreadPoolExecutor(POLLERS) as pool:
        started = time.monotonic()
        polls = [
            pool.submit(wide.v2, "GET", f"{c}/records?timeout=6000", None, "json")
            for c in consumers
        ]
        time.sleep(0.5)
        for _ in range(10):
            made = wide.v2("POST", f"/topics/{busy}", {"records": [{"value": 1}]}, "json")
            assert made.json["offsets"][0]["error_code"] is None
            wide.v2("DELETE", wide.create_v2())
        assert not any(poll.done() for poll in polls), "a poll ended early"
        assert time.monotonic() - started < 6, "somebody waited for the polls"
        stack.produce(quiet, [(0, None, b"1")])
        answers = [poll.result() for poll in polls]
    assert [len(answer.json) for answer in answers] == [1] * POLLERS


def test_read_of_a_deleted_instance_ends(wide: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    consumer = wide.create_v2(format="json")
    subscribe(wide, consumer, topics=[topic])
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(wide.v2, "GET", f"{consumer}/records?timeout=20000", None, "json")
        time.sleep(0.5)
        started = time.monotonic()
        assert wide.v2("DELETE", consumer).status == 204
        assert poll.result().status in (200, 404)
        assert time.monotonic() - started < 15


def test_lives_cut_short_harm_nobody(wide: Proxy, stack: Stack) -> None:
    """Groups are left in every moment of joining: the worker lives, and no old event comes late."""
    topic = stack.create_topic(2)
    stack.produce(topic, [(n % 2, None, b"%d" % n) for n in range(10)])
    place = {"topic": topic, "partition": 1}

    def life(number: int) -> None:
        chance = random.Random(number)
        consumer = wide.create_v2(f"{topic}-{number}", format="json")
        for _ in range(chance.randrange(1, 4)):
            subscribe(wide, consumer, topics=[topic])
            time.sleep(chance.choice([0, 0, 0.05, 0.3]))
            if chance.random() < 0.3:
                reply = wide.v2("GET", f"{consumer}/records?timeout=300", fmt="json")
                assert reply.status == 200, reply
            if chance.random() < 0.6:
                assert wide.v2("DELETE", f"{consumer}/subscription").status == 204
                body = {"partitions": [place]}
                taken = wide.v2("POST", f"{consumer}/assignments", body)
                assert taken.status == 204, taken
                assert wide.v2("GET", f"{consumer}/assignments").json == body
                read = wide.read_all(consumer, 5, "json", "?timeout=300")
                assert [r["value"] for r in read] == [1, 3, 5, 7, 9]
                assert wide.v2("DELETE", f"{consumer}/subscription").status == 204
        assert wide.v2("DELETE", consumer).status == 204

    wait_for(lambda: len(wide.worker_pids()) == 2, 20, "both workers")
    workers = wide.worker_pids()
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(life, number) for number in range(48)]:
            done.result(120)
    assert wide.worker_pids() == workers
