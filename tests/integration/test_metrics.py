"""What a scraper learns of a server of several workers, whichever of them it reaches."""

import http.client
import json
import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.stack import Proxy, Stack, free_port, wait_for

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

SCHEMA = json.dumps({"type": "record", "name": "R", "fields": [{"name": "n", "type": "int"}]})
AVRO = {"value_schema": SCHEMA}
SECONDS = 10.0
"""So long a scrape may take before it counts as none at all."""


@pytest.fixture
def pair(stack: Stack) -> Iterator[Proxy]:
    """Two workers, each with a port of its own behind the common one."""
    settings = {"consumer.pinning.listeners": "true", "metrics.statistics.interval.ms": "1000"}
    with Proxy(stack, settings, workers=2, port=free_port(3)) as running:
        yield running


def scraped(proxy: Proxy, worker: int) -> Samples:
    """All samples, as one worker shows them."""
    reply = Proxy(proxy.stack, port=proxy.port + 1 + worker).request(
        "GET", "/metrics", timeout=SECONDS
    )
    assert reply.status == 200, reply
    assert reply.type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (
            sample.name.removeprefix("kafka_rest_"),
            tuple(sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """A sample; 0 where nothing has been counted."""
    return samples.get((name, tuple(sorted(labels.items()))), 0)


def total(samples: Samples, name: str) -> float:
    return sum(number for (found, _), number in samples.items() if found == name)


def counters(samples: Samples) -> Samples:
    """What must never go back."""
    ends = ("_total", "_count", "_bucket", "_sum")
    return {key: number for key, number in samples.items() if key[0].endswith(ends)}


def answered(samples: Samples, endpoint: str, status: int = 200) -> float:
    name = "request_duration_seconds_count"
    return value(samples, name, endpoint=endpoint, status=str(status))


def produced(samples: Samples) -> float:
    return value(samples, "produced_records_total", format="json")


def produce(proxy: Proxy, topic: str, times: int) -> None:
    """Calls with one, two and three records in turn, each on a connection of its own."""
    for number in range(times):
        records = [{"value": {"n": number}}] * (number % 3 + 1)
        assert proxy.v2("POST", f"/topics/{topic}", {"records": records}, "json").status == 200


def test_counts_are_exact_whichever_worker_is_asked(pair: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    produce(pair, topic, 30)
    for number in range(4):
        body = {"records": [{"value": {"n": number}}] * 2, **AVRO}
        assert pair.v2("POST", f"/topics/{topic}", body, "avro").status == 200
    refused = {
        "records": [{"value": 1, "partition": 9}, {"value": 1}, {"value": 1, "partition": 8}]
    }
    assert pair.v2("POST", f"/topics/{topic}", refused, "json").status == 200
    absent = f"absent-{uuid.uuid4().hex}"
    assert pair.v2("GET", f"/topics/{absent}").status == 404
    assert pair.get("/nowhere").status == 404
    binary = [pair.create_v2(format="binary") for _ in range(3)]
    for consumer in binary:
        pair.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
        assert len(pair.read_all(consumer, 69, "binary")) == 69
    assert pair.v2("DELETE", binary[0]).status == 204

    def right(samples: Samples) -> bool:
        return value(samples, "consumer_instances") == 2

    for worker in (0, 1):
        found = wait_for(lambda w=worker: right(s := scraped(pair, w)) and s)
        assert value(found, "workers") == 2
        assert value(found, "produced_records_total", format="json") == 60 + 3
        sizes = sum(
            len(json.dumps({"n": n}, separators=(",", ":"))) * (n % 3 + 1) for n in range(30)
        )
        assert value(found, "produced_bytes_total", format="json") == sizes + 3
        assert value(found, "produced_records_total", format="avro") == 8
        # Five bytes before each, and a small number in one.
        assert value(found, "produced_bytes_total", format="avro") == 8 * 6
        assert value(found, "produced_record_errors_total", error_code="40402") == 2
        assert value(found, "consumed_records_total", format="binary") == 3 * 69
        assert value(found, "consumed_bytes_total", format="binary") == 3 * (sizes + 1 + 8 * 6)
        assert answered(found, "api.v2.produce-to-topic.json") == 31
        assert answered(found, "api.v2.produce-to-topic.avro") == 4
        assert answered(found, "api.v2.consumers.create") == 3
        assert answered(found, "api.v2.consumers.subscribe", 204) == 3
        assert answered(found, "api.v2.topics.get", 404) == 1
        assert answered(found, "none", 404) == 1
        assert value(found, "request_errors_total", error_code="40403") == 1
        assert value(found, "request_errors_total", error_code="404") == 1
        assert topic not in str(found)
        assert absent not in str(found)


def test_schemas_and_brokers_show(pair: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    for _ in range(10):
        body = {"records": [{"value": {"n": 1}}], **AVRO}
        assert pair.v2("POST", f"/topics/{topic}", body, "avro").status == 200

    def shown() -> Samples | None:
        found = scraped(pair, 0)
        lookups = total(found, "schema_cache_lookups_total")
        trips = total(found, "broker_round_trip_seconds_count")
        return found if lookups >= 10 and trips > 0 else None

    found = wait_for(shown)
    calls = value(found, "schema_registry_call_duration_seconds_count", outcome="answered")
    # One for each worker that was asked.
    assert 1 <= calls <= 2
    assert value(found, "schema_cache_lookups_total", outcome="hit") >= 8
    assert total(found, "broker_round_trip_seconds_sum") > 0
    assert total(found, "producer_queue_latency_seconds_count") > 0


def test_requests_of_another_workers_consumer_count_once(pair: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"a")])
    consumers = [pair.create_v2("g-owners", name=f"i{n}", format="binary") for n in range(8)]
    for consumer in consumers:
        for worker in (0, 1):
            # Through both workers, one of which is not the owner.
            through = Proxy(stack, port=pair.port + 1 + worker)
            assignment = {"partitions": [{"topic": topic, "partition": 0}]}
            assert through.v2("POST", f"{consumer}/assignments", assignment).status == 204
    # A request is counted when its answer has been sent.
    endpoint = "api.v2.consumers.assign"
    found = wait_for(lambda: answered(s := scraped(pair, 0), endpoint, 204) >= 16 and s)
    assert answered(found, endpoint, 204) == 16
    assert value(found, "relay_duration_seconds_count", outcome="answered") >= 8
    assert answered(found, "none") == 0


def test_counters_do_not_go_back_when_workers_are_killed(pair: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    consumers = [pair.create_v2("g-killed", name=f"i{n}") for n in range(8)]
    produce(pair, topic, 30)
    before = wait_for(
        lambda: value(s := scraped(pair, 0), "consumer_instances") == len(consumers) and s
    )
    for victim in pair.worker_pids():
        os.kill(victim, signal.SIGKILL)

        def replaced(victim: int = victim) -> bool:
            nonlocal before
            for worker in (0, 1):
                try:
                    found = scraped(pair, worker)
                except OSError:
                    # The one that was killed, until another one is there.
                    continue
                back = [k for k, was in counters(before).items() if found.get(k, 0) < was]
                assert back == []
                before = found
            pids = pair.worker_pids()
            return victim not in pids and len(pids) == 2 and value(before, "workers") == 2

        wait_for(replaced)
    wait_for(lambda: value(scraped(pair, 0), "consumer_instances") == 0)
    assert produced(before) == 60
    produce(pair, topic, 3)
    for worker in (0, 1):
        wait_for(lambda w=worker: produced(scraped(pair, w)) == 66)


def test_workers_of_a_reload_go_on_counting(pair: Proxy, stack: Stack) -> None:
    topic = stack.create_topic()
    produce(pair, topic, 6)
    for _ in range(2):
        old = set(pair.worker_pids())
        os.kill(pair.process.pid, signal.SIGHUP)
        wait_for(lambda old=old: len(now := set(pair.worker_pids())) == 2 and not now & old)
    produce(pair, topic, 6)

    def settled() -> Samples | None:
        found = scraped(pair, 0)
        return found if value(found, "workers") == 2 else None

    wait_for(lambda: produced(scraped(pair, 0)) == 24)
    assert produced(wait_for(settled)) == 24


def test_page_comes_while_kafka_is_frozen_and_reads_wait(pair: Proxy, stack: Stack) -> None:
    if stack.broker is None:
        pytest.skip("freezes the embedded broker")
    topic = stack.create_topic()
    consumers = [pair.create_v2(f"g-{n}", format="json") for n in range(40)]
    for consumer in consumers:
        pair.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
    os.kill(stack.broker.pid, signal.SIGSTOP)
    try:
        connections = [begun(pair, f"{consumer}/records?timeout=20000") for consumer in consumers]
        for worker in (0, 1):
            found = wait_for(
                lambda w=worker: (
                    value(s := scraped(pair, w), "waiting_reads", held="instance") == 40 and s
                )
            )
            assert value(found, "consumer_instances") == 40
        for connection in connections:
            connection.close()
    finally:
        os.kill(stack.broker.pid, signal.SIGCONT)


def begun(proxy: Proxy, path: str) -> Any:
    """A read under way."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    connection.request("GET", path, headers={"Accept": "application/vnd.kafka.json.v2+json"})
    return connection


def test_page_is_off_where_a_setting_says_so(stack: Stack) -> None:
    with Proxy(stack, {"metrics.enable": "false"}, workers=1) as proxy:
        assert proxy.get("/metrics").status == 404


def test_gunicorns_own_worker_is_counted_as_well(stack: Stack) -> None:
    topic = stack.create_topic()
    with Proxy(stack, {"server.worker.class": "gthread"}, workers=2) as proxy:
        produce(proxy, topic, 9)
        records = b'produced_records_total{format="json"} 18.0'
        wait_for(lambda: records in proxy.get("/metrics").body)
        line = b'seconds_count{endpoint="api.v2.produce-to-topic.json",status="200"} 9.0'
        wait_for(lambda: line in proxy.get("/metrics").body)
