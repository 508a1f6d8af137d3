"""Consumers on a whole server: groups with idle members, concurrent calls, endings."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.stack import Proxy, Stack, wait_for

JSON = "application/vnd.kafka.json.v1+json"
AVRO = "application/vnd.kafka.avro.v1+json"


def group() -> str:
    return f"g{uuid.uuid4().hex[:10]}"


def drain(proxy: Proxy, path: str, topic: str) -> list[dict[str, Any]]:
    """Read until a read comes back empty."""
    found: list[dict[str, Any]] = []
    while records := proxy.get(f"{path}/topics/{topic}").json:
        found += records
    return found


def test_idle_member_gives_its_partitions_to_a_new_one(proxy: Proxy, stack: Stack) -> None:
    topic = stack.create_topic(partitions=4)
    name = group()
    first = proxy.create_consumer(name)
    assert proxy.get(f"{first}/topics/{topic}").json == []
    # From here on nobody calls the first one.
    second = proxy.create_consumer(name)
    shares: set[int] = set()

    def second_has_its_share() -> bool:
        for partition in range(4):
            stack.produce(topic, [(partition, None, b"x")])
        records = proxy.get(f"{second}/topics/{topic}").json
        shares.update(r["partition"] for r in records)
        return len(shares) == 2

    wait_for(second_has_its_share, 40)
    kept = {r["partition"] for r in drain(proxy, first, topic)}
    assert kept == set(range(4)) - shares
    for path in (first, second):
        assert proxy.request("DELETE", path).status == 204


def test_group_goes_on_where_it_has_committed(proxy: Proxy, stack: Stack) -> None:
    topic = stack.create_topic(partitions=2)
    stack.produce(topic, [(n % 2, None, b"%d" % n) for n in range(20)])
    name = group()
    path = proxy.create_consumer(name)
    read = proxy.get(f"{path}/topics/{topic}?max_bytes=6").json
    assert 0 < len(read) < 20
    proxy.request("POST", f"{path}/offsets")
    proxy.request("DELETE", path)
    second = proxy.create_consumer(name)
    rest = drain(proxy, second, topic)
    places = [(r["partition"], r["offset"]) for r in read + rest]
    assert sorted(places) == [(p, o) for p in range(2) for o in range(10)]


def test_hundred_records_arrive_once_and_in_order_through_a_small_limit(
    proxy: Proxy, stack: Stack
) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"x" * 5000) for _ in range(100)])
    path = proxy.create_consumer()
    offsets: list[int] = []
    while len(offsets) < 100:
        records = proxy.get(f"{path}/topics/{topic}?max_bytes=10000").json
        assert records
        offsets += [r["offset"] for r in records]
    assert offsets == list(range(100))


def test_parallel_reads_of_one_instance_share_the_records(proxy: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(50)])
    path = proxy.create_consumer()
    with ThreadPoolExecutor(6) as pool:
        reads = [pool.submit(proxy.get, f"{path}/topics/{topic}?max_bytes=30") for _ in range(6)]
        replies = [read.result() for read in reads]
    assert {reply.status for reply in replies} == {200}
    offsets = [r["offset"] for reply in replies for r in reply.json]
    offsets += [r["offset"] for r in drain(proxy, path, topic)]
    assert sorted(offsets) == list(range(50))


def test_delete_ends_a_waiting_read(stack: Stack) -> None:
    topic = stack.create_topic()
    with Proxy(stack, {"consumer.request.timeout.ms": "60000"}) as proxy:
        path = proxy.create_consumer()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(proxy.get, f"{path}/topics/{topic}")
            wait_for(lambda: "partitions assigned" in proxy.log())
            assert proxy.request("DELETE", path).status == 204
            reply = waiting.result(30)
        assert (reply.status, reply.json) == (200, [])
        assert proxy.get(f"{path}/topics/{topic}").json["error_code"] == 40403


def test_bad_calls_wedge_no_instance(proxy: Proxy, stack: Stack) -> None:
    topic, other = stack.create_topic(), stack.create_topic()
    stack.produce(topic, [(0, None, b"1")])
    path = proxy.create_consumer(format="json")
    assert proxy.get(f"{path}/topics/{topic}", AVRO).json["error_code"] == 40601
    assert proxy.get(f"{path}/topics/none", JSON).json["error_code"] == 40401
    assert proxy.get(f"{path}/topics/{topic}", JSON).json[0]["value"] == 1
    assert proxy.get(f"{path}/topics/{other}", JSON).json["error_code"] == 40901
    stack.produce(topic, [(0, None, b"2")])
    assert proxy.get(f"{path}/topics/{topic}", JSON).json[0]["value"] == 2
    assert proxy.request("POST", f"{path}/offsets", b"not looked at").json[0]["committed"] == 1


def test_compacted_and_aborted_offsets_are_no_gap_for_a_reader(proxy: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    for format_name, value in (("json", {"a": [1, None]}), ("json", "text"), ("json", 53.4)):
        assert proxy.produce(topic, [{"key": "k", "value": value}], format_name).status == 200
    stored = proxy.get(f"/topics/{topic}/partitions/0/messages?count=9", JSON).json
    assert [r["value"] for r in stored] == [{"a": [1, None]}, "text", 53.4]
    assert {r["key"] for r in stored} == {"k"}


def test_tombstones_and_empty_values_are_told_apart(proxy: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    records = [
        {"key": "aw==", "value": None},
        {"key": "aw==", "value": ""},
        {"key": "", "value": None},
    ]
    assert proxy.produce(topic, records).status == 200
    stored = proxy.get(f"/topics/{topic}/partitions/0/messages?count=9").json
    assert [(r["key"], r["value"]) for r in stored] == [("aw==", None), ("aw==", ""), ("", None)]


def test_equal_keys_go_to_the_partition_that_java_clients_choose(
    proxy: Proxy, stack: Stack
) -> None:
    topic = stack.create_topic(partitions=3)
    records = [{"key": key, "value": 1} for key in ("a", "b", "c", "somekey")]
    first = [o["partition"] for o in proxy.produce(topic, records, "json").json["offsets"]]
    assert first == [o["partition"] for o in proxy.produce(topic, records, "json").json["offsets"]]
    # murmur2 of the stored bytes, quotes included, without its sign, modulo the partitions.
    assert first == [murmur2(f'"{r["key"]}"'.encode()) % 3 for r in records]


def murmur2(data: bytes) -> int:
    """Kafka's hash of a key, without its sign."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return (h ^ (h >> 15)) & 0x7FFFFFFF
