"""Faults of the broker, injected: every answer comes, and says what happened."""

import http.client
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import KafkaError

from kafka_rest.devstack.children import EmbeddedBroker
from tests.stack import Proxy, Reply, Stack, free_port, wait_for

PRODUCE, OFFSET_COMMIT = 0, 8
# A test that waits longer than this for one answer fails: beyond every deadline set below.
PATIENCE = 12.0
SETTINGS = {
    "produce.timeout.ms": "2000",
    "metadata.timeout.ms": "1000",
    "consumer.commit.timeout.ms": "2000",
    "consumer.join.timeout.ms": "2000",
    "metadata.max.age.ms": "0",
}


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """Three brokers to maltreat, on fixed ports, so that they come back where they were."""
    with EmbeddedBroker(port=free_port(3), brokers=3) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(broker: EmbeddedBroker) -> Iterator[Proxy]:
    """A proxy with short deadlines on them."""
    stack = Stack(broker.bootstrap, "http://127.0.0.1:9", broker)
    # One worker, which has seen the topics of a test before their brokers go.
    with Proxy(stack, SETTINGS, workers=1) as running:
        yield running


@pytest.fixture
def topic(proxy: Proxy, broker: EmbeddedBroker) -> Iterator[str]:
    """A topic; whatever a test did to the brokers ends with it."""
    yield proxy.stack.create_topic()
    broker.set_up()
    for api in (PRODUCE, OFFSET_COMMIT):
        broker.clear_errors(api)


def produce(proxy: Proxy, topic: str, count: int = 1) -> Reply:
    return proxy.produce(topic, [{"value": "YQ=="}] * count, timeout=PATIENCE)


def codes(reply: Reply) -> set[int | None]:
    assert reply.status == 200, reply
    return {o["error_code"] for o in reply.json["offsets"]}


def works_again(proxy: Proxy, topic: str) -> None:
    wait_for(lambda: (r := produce(proxy, topic)).status == 200 and codes(r) == {None}, 30)


@pytest.mark.parametrize(
    "code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REQUEST_TIMED_OUT, -195]
)
def test_passing_error_of_a_produce_is_retried(
    proxy: Proxy, broker: EmbeddedBroker, topic: str, code: int
) -> None:
    assert codes(produce(proxy, topic)) == {None}
    broker.push_errors(PRODUCE, code, code)
    assert codes(produce(proxy, topic)) == {None}
    broker.clear_errors(PRODUCE)


def test_denied_record_is_that_of_its_version(
    proxy: Proxy, broker: EmbeddedBroker, topic: str
) -> None:
    broker.push_errors(PRODUCE, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    reply = proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}]}, "json")
    broker.clear_errors(PRODUCE)
    found = {entry["error_code"] for entry in reply.json["offsets"]}
    assert (reply.status, found) == (403, {40301})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, 50002),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, 50002),
        (KafkaError.INVALID_RECORD, 50002),
    ],
)
def test_lasting_error_of_a_produce_is_that_records_error(
    proxy: Proxy, broker: EmbeddedBroker, topic: str, code: int, expected: int
) -> None:
    broker.push_errors(PRODUCE, code)
    reply = produce(proxy, topic)
    assert codes(reply) == {expected}
    assert reply.json["offsets"][0]["error"]
    broker.clear_errors(PRODUCE)
    works_again(proxy, topic)


def test_slow_broker_is_waited_for_until_the_deadline(
    proxy: Proxy, broker: EmbeddedBroker, topic: str
) -> None:
    broker.set_rtt(300)
    assert codes(produce(proxy, topic)) == {None}
    broker.set_rtt(6000)
    assert codes(produce(proxy, topic)) == {50003}
    broker.set_rtt(0)
    works_again(proxy, topic)


def test_leader_that_moves_loses_nothing(proxy: Proxy, broker: EmbeddedBroker, topic: str) -> None:
    offsets = []
    for leader in (1, 2, 3, 1):
        broker.set_leader(topic, 0, leader)
        offsets.append(produce(proxy, topic).json["offsets"][0]["offset"])
    assert offsets == [0, 1, 2, 3]


def test_brokers_down_while_producing(proxy: Proxy, broker: EmbeddedBroker, topic: str) -> None:
    works_again(proxy, topic)
    broker.set_down()
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(produce, proxy, topic, 3) for _ in range(8)]
        # Meanwhile the rest of the server answers.
        assert proxy.request("GET", "/", timeout=2).status == 200
        for reply in replies:
            assert codes(reply.result()) == {50003}
    unknown = produce(proxy, f"never-seen-{uuid.uuid4().hex[:6]}")
    assert (unknown.status, unknown.json["error_code"]) == (500, 50003)
    assert proxy.get("/topics").json["error_code"] == 50003
    broker.set_up()
    works_again(proxy, topic)


def test_brokers_down_while_reading(proxy: Proxy, broker: EmbeddedBroker, topic: str) -> None:
    works_again(proxy, topic)
    consumer = proxy.create_consumer()
    path = f"{consumer}/topics/{topic}"
    first = proxy.request("GET", path, timeout=PATIENCE).json
    assert first[0]["offset"] == 0
    broker.set_down()
    for _ in range(2):
        reply = proxy.request("GET", path, timeout=PATIENCE)
        assert reply.json == [] or reply.json["error_code"] == 50003
    commit = proxy.request("POST", f"{consumer}/offsets", timeout=PATIENCE)
    assert commit.status == 200 or commit.json["error_code"] in (50002, 50003)
    broker.set_up()
    works_again(proxy, topic)
    later = wait_for(
        lambda: (r := proxy.request("GET", path, timeout=PATIENCE)).status == 200 and r.json, 30
    )
    assert later[0]["offset"] > first[-1]["offset"]
    assert proxy.request("DELETE", consumer, timeout=PATIENCE).status == 204


def test_coordinator_that_moves(proxy: Proxy, broker: EmbeddedBroker, topic: str) -> None:
    works_again(proxy, topic)
    group = f"g{uuid.uuid4().hex[:8]}"
    consumer = proxy.create_consumer(group)
    assert proxy.request("GET", f"{consumer}/topics/{topic}", timeout=PATIENCE).json
    for number in (2, 3):
        broker.set_coordinator(group, number)
        wait_for(
            lambda: proxy.request("POST", f"{consumer}/offsets", timeout=PATIENCE).status == 200, 30
        )


def test_refused_commit_is_told_and_the_next_one_works(
    proxy: Proxy, broker: EmbeddedBroker, topic: str
) -> None:
    works_again(proxy, topic)
    consumer = proxy.create_consumer()
    assert proxy.request("GET", f"{consumer}/topics/{topic}", timeout=PATIENCE).json
    broker.push_errors(OFFSET_COMMIT, *[KafkaError.GROUP_AUTHORIZATION_FAILED] * 3)
    refused = proxy.request("POST", f"{consumer}/offsets", timeout=PATIENCE)
    assert (refused.status, refused.json["error_code"]) == (403, 40301)
    broker.clear_errors(OFFSET_COMMIT)
    assert proxy.request("POST", f"{consumer}/offsets", timeout=PATIENCE).status == 200


def test_refused_topic_is_403(proxy: Proxy, broker: EmbeddedBroker, topic: str) -> None:
    broker.topic_error(topic, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    for path in (f"/topics/{topic}", f"/topics/{topic}/partitions"):
        reply = proxy.get(path)
        assert (reply.status, reply.json["error_code"]) == (403, 40301)
    assert produce(proxy, topic).status == 403
    broker.topic_error(topic, 0)


def test_full_queue_is_a_retriable_error(broker: EmbeddedBroker) -> None:
    settings = SETTINGS | {"producer.queue.buffering.max.messages": "20"}
    stack = Stack(broker.bootstrap, "http://127.0.0.1:9", broker)
    topic = stack.create_topic()
    with Proxy(stack, settings | {"metadata.max.age.ms": "60000"}, workers=1) as proxy:
        assert codes(produce(proxy, topic)) == {None}
        broker.set_down()
        reply = produce(proxy, topic, 50)
        broker.set_up()
        assert codes(reply) == {50003}
        assert any("full" in o["error"] for o in reply.json["offsets"])
        works_again(proxy, topic)


def test_client_that_leaves_does_no_harm(proxy: Proxy, topic: str) -> None:
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        connection.putrequest("POST", f"/topics/{topic}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(b'{"records":')
        connection.close()
    works_again(proxy, topic)
