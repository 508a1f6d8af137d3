"""Several proxies as one: any of them answers for any consumer, and says so when it cannot."""

import http.client
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kafka_rest.pinning import owner_peer
from tests.credentials import PASSWORDS, basic, htpasswd
from tests.integration.test_long_polls import Poll, values
from tests.stack import Proxy, Reply, Stack, free_port, wait_for

IDS = ("a", "b", "c")
SECRET = "the-secret-of-the-tests"
THREADS = 8
LIVES = 24
V1 = {"Content-Type": "application/vnd.kafka.v1+json"}
V2 = {"Content-Type": "application/vnd.kafka.v2+json"}
JSON = {"Content-Type": "application/vnd.kafka.json.v2+json"}


def proxies(
    stack: Stack, peers: str, ports: Sequence[int], settings: Sequence[dict[str, str]]
) -> list[Proxy]:
    """Proxies a, b, ... that are not started yet."""
    common = {"cluster.peers": peers, "cluster.secret": SECRET}
    return [
        Proxy(stack, common | {"id": name} | own, workers=2, threads=THREADS, port=port)
        for name, port, own in zip(IDS, ports, settings, strict=False)
    ]


@contextmanager
def running(
    stack: Stack, size: int, *own: dict[str, str], peers: str = ""
) -> Iterator[list[Proxy]]:
    """A cluster; `own` settings of each proxy, or one for all. `{0}` in `peers` is a's port..."""
    ports = [free_port() for _ in range(size)]
    listed = peers or ",".join(
        f"{name}=http://127.0.0.1:{{{n}}}" for n, name in enumerate(IDS[:size])
    )
    settings = own if len(own) == size else [own[0] if own else {}] * size
    with ExitStack() as started:
        yield [
            started.enter_context(proxy)
            for proxy in proxies(stack, listed.format(*ports), ports, settings)
        ]


@pytest.fixture(scope="module")
def cluster(stack: Stack) -> Iterator[list[Proxy]]:
    """Three proxies of two workers each, on one host that they trust as a balancer."""
    settings = {"server.trusted.proxies": "127.0.0.1/32", "consumer.request.timeout.ms": "5000"}
    with running(stack, 3, settings) as found:
        yield found


class RoundRobin:
    """Every request to the next proxy; `who` are credentials."""

    def __init__(self, cluster: list[Proxy], who: str = "") -> None:
        self._cluster, self._turn = cluster, count()
        self._who = {"Authorization": who} if who else {}

    def request(
        self, method: str, path: str, body: Any = None, headers: Any = None, **more: Any
    ) -> Reply:
        proxy = self._cluster[next(self._turn) % len(self._cluster)]
        return proxy.request(method, path, body, {**(headers or {}), **self._who}, **more)


def name_of(group: str, peer: int, peers: int = 3) -> str:
    """An instance of the group that a proxy owns."""
    names = (f"i{n}" for n in count())
    return next(name for name in names if owner_peer(group, name, peers) == peer)


def fresh_group() -> str:
    return f"g{uuid.uuid4().hex[:10]}"


class Wrong(list[str]):
    """Everything that was not as it should be."""

    def expect(self, what: str, got: Any, want: Any) -> None:
        if got != want:
            self.append(f"{what}: {got!r} instead of {want!r}")


def life(any_proxy: RoundRobin, topic: str, named: bool) -> Wrong:
    """The whole life of a v2 consumer of a topic that holds 0, 1, 2."""
    wrong, group = Wrong(), fresh_group()
    body: dict[str, Any] = {"format": "json", "auto.offset.reset": "earliest"}
    if named:
        body["name"] = "mine"
    made = any_proxy.request("POST", f"/consumers/{group}", body, V2)
    wrong.expect("create", made.status, 200)
    for _ in range(2 * named):
        again = any_proxy.request("POST", f"/consumers/{group}", body, V2)
        wrong.expect("create again", again.json.get("error_code"), 40902)
    path = f"/consumers/{group}/instances/{made.json['instance_id']}"

    def call(what: str, method: str, rest: str, body: Any = None) -> Reply:
        headers = {"Accept": "application/vnd.kafka.v2+json"} | (V2 if body else {})
        reply = any_proxy.request(method, path + rest, body, headers)
        wrong.expect(what, reply.status in (200, 204), True)
        return reply

    def read() -> list[Any]:
        accept = {"Accept": "application/vnd.kafka.json.v2+json"}
        reply = any_proxy.request("GET", f"{path}/records?timeout=20000", headers=accept)
        wrong.expect("read", reply.status, 200)
        return [record["value"] for record in reply.json]

    place = {"topic": topic, "partition": 0}
    call("subscribe", "POST", "/subscription", {"topics": [topic]})
    wrong.expect("subscription", call("ask", "GET", "/subscription").json, {"topics": [topic]})
    wrong.expect("records", read(), [0, 1, 2])
    call("commit", "POST", "/offsets", {"offsets": [{**place, "offset": 1}]})
    committed = call("committed", "GET", "/offsets", {"partitions": [place]})
    wrong.expect("offset", [p["offset"] for p in committed.json["offsets"]], [2])
    call("seek", "POST", "/positions", {"offsets": [{**place, "offset": 1}]})
    wrong.expect("records after the seek", read(), [1, 2])
    # An answer without content says no length, whoever passes it on.
    wrong.expect("length", call("delete", "DELETE", "").headers.get("content-length"), None)
    gone = any_proxy.request("DELETE", path, headers=V2)
    wrong.expect("gone", (gone.status, gone.json["error_code"]), (404, 40403))
    return wrong


def test_any_proxy_answers_for_any_consumer(cluster: list[Proxy], stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(3)])
    with ThreadPoolExecutor(8) as pool:
        lives = [
            pool.submit(life, RoundRobin(cluster), topic, number % 2 == 0)
            for number in range(LIVES)
        ]
        assert [problem for done in lives for problem in done.result(120)] == []


@pytest.mark.parametrize(
    "settings",
    [{"server.worker.class": "gthread"}, {"compression.enable": "true"}],
    ids=["gthread", "compression"],
)
def test_cluster_whose_reads_hold_threads_answers_too(
    stack: Stack, settings: dict[str, str]
) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"%d" % n) for n in range(3)])
    with running(stack, 2, settings) as cluster:
        lives = [life(RoundRobin(cluster), topic, named) for named in (True, False)]
    assert lives == [[], []]


def reader(any_proxy: RoundRobin, owner: int, topic: str, partition: int = 0) -> str:
    """A consumer that a proxy owns and that reads one partition by hand; its path."""
    group = fresh_group()
    body = {
        "name": name_of(group, owner),
        "format": "json",
        "auto.offset.reset": "earliest",
    }
    assert any_proxy.request("POST", f"/consumers/{group}", body, V2).status == 200
    path = f"/consumers/{group}/instances/{body['name']}"
    parts = {"partitions": [{"topic": topic, "partition": partition}]}
    assert any_proxy.request("POST", f"{path}/assignments", parts, V2).status == 204
    return path


def test_many_more_polls_through_other_proxies_than_threads(
    cluster: list[Proxy], stack: Stack
) -> None:
    each, owners = 40, 3
    topic = stack.create_topic(owners)
    consumers = [reader(RoundRobin(cluster), owner, topic, owner) for owner in range(owners)]
    # Every one of them at a proxy that does not own it.
    lines = [
        [Poll(cluster[(owner + 1 + n % 2) % owners], consumer) for n in range(each)]
        for owner, consumer in enumerate(consumers)
    ]
    for proxy in cluster:
        assert proxy.get("/").status == 200
        assert proxy.create_consumer()
    assert not any(poll.answered for line in lines for poll in line)
    seen: list[list[int]] = [[] for _ in lines]
    for turn in range(each):
        stack.produce(topic, [(n, None, b"%d" % (100 * n + turn)) for n in range(owners)])
        for line, found in zip(lines, seen, strict=True):
            poll = wait_for(lambda line=line: next((p for p in line if p.answered), None))
            found += values(poll.answer())
            line.remove(poll)
    assert seen == [[100 * n + turn for turn in range(each)] for n in range(owners)]


def test_client_that_goes_while_another_proxy_reads_for_it_takes_no_record(
    cluster: list[Proxy], stack: Stack
) -> None:
    topic = stack.create_topic()
    consumer = reader(RoundRobin(cluster), 0, topic)
    for _ in range(5):
        Poll(cluster[1], consumer).leave()
    # Two servers see it, and have nothing to tell of that.
    time.sleep(1)
    stack.produce(topic, [(0, None, b"1")])
    assert values(Poll(cluster[2], consumer).answer()) == [1]


def test_read_ends_when_the_proxy_that_it_came_to_stops(stack: Stack) -> None:
    topic = stack.create_topic()
    with running(stack, 2) as cluster:
        group = fresh_group()
        body = {"name": name_of(group, 1, 2), "format": "json"}
        assert cluster[0].request("POST", f"/consumers/{group}", body, V2).status == 200
        path = f"/consumers/{group}/instances/{body['name']}"
        parts = {"partitions": [{"topic": topic, "partition": 0}]}
        assert cluster[1].request("POST", f"{path}/assignments", parts, V2).status == 204
        poll = Poll(cluster[0], path)
        # It waits at its owner once the owner's reads are served behind it.
        behind = Poll(cluster[1], path, 1)
        assert values(behind.answer()) == []
        assert cluster[0].terminate() == 0
        assert values(poll.answer()) == []
        stack.produce(topic, [(0, None, b"1")])
        assert values(Poll(cluster[1], f"{path}").answer()) == [1]


def test_base_uri_is_what_the_client_sees(cluster: list[Proxy]) -> None:
    for owner in range(3):
        group = fresh_group()
        body = {"name": name_of(group, owner)}
        path = f"/consumers/{group}/instances/{body['name']}"
        made = cluster[0].request("POST", f"/consumers/{group}", body, V1)
        assert made.json["base_uri"] == cluster[0].url + path
        assert cluster[1].request("DELETE", path).status == 204
        outside = {"X-Forwarded-Host": "kafka.example", "X-Forwarded-Proto": "https"}
        made = cluster[0].request("POST", f"/consumers/{group}", body, V1 | outside)
        assert made.json["base_uri"] == f"https://kafka.example{path}"
        # Of no client that is no balancer, whoever relays for it.
        assert cluster[1].request("DELETE", path).status == 204
        made = from_address("127.0.0.7", cluster[0], group, body, outside)
        assert made["base_uri"] == cluster[0].url + path


def from_address(address: str, proxy: Proxy, group: str, body: Any, headers: dict[str, str]) -> Any:
    """A consumer made from another address of this host."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", proxy.port, timeout=60, source_address=(address, 0)
    )
    connection.request("POST", f"/consumers/{group}", json.dumps(body), V1 | headers)
    try:
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_access_log_of_the_owner_names_the_client(stack: Stack) -> None:
    topic = stack.create_topic()
    with running(stack, 2, {"server.access.log": "true"}) as cluster:
        group = fresh_group()
        name = name_of(group, 1, 2)
        from_address("127.0.0.7", cluster[0], group, {"name": name, "format": "json"}, {})
        path = f"/consumers/{group}/instances/{name}"
        connection = http.client.HTTPConnection(
            "127.0.0.1", cluster[0].port, timeout=60, source_address=("127.0.0.7", 0)
        )
        accept = {"Accept": "application/vnd.kafka.json.v1+json"}
        connection.request("GET", f"{path}/topics/{topic}", headers=accept)
        assert connection.getresponse().read() == b"[]"
        connection.close()
        for line in (f'"POST /consumers/{group} ', f'"GET {path}/topics/{topic} '):
            for proxy in cluster:
                # A worker that relays to another one logs it as well.
                found = wait_for(lambda p=proxy, x=line: [s for s in p.log().split("\n") if x in s])
                assert all("127.0.0.7 - - [" in said for said in found)


def test_killed_proxy_is_named_and_the_others_are_untouched(stack: Stack) -> None:
    topic = stack.create_topic()
    stack.produce(topic, [(0, None, b"7")])
    with running(stack, 3) as cluster:
        paths = [reader(RoundRobin(cluster), owner, topic) for owner in range(3)]
        waiting = Poll(cluster[0], paths[2])
        assert values(waiting.answer()) == [7]
        waiting.again()
        assert values(Poll(cluster[2], paths[2], 1).answer()) == []
        os.killpg(cluster[2].process.pid, signal.SIGKILL)
        cluster[2].process.wait()
        status, body = waiting.answer()
        assert (status, body["error_code"]) == (503, 503)
        assert "the proxy c, which owns this consumer, ended" in body["message"]
        for proxy in cluster[:2]:
            for _ in range(4):
                lost = proxy.v2("POST", f"{paths[2]}/offsets")
                assert (lost.status, lost.headers["retry-after"]) == (503, "1")
                assert "the proxy c, which owns" in lost.json["message"]
                assert values(Poll(proxy, paths[0], 1).answer()) in ([7], [])
                assert proxy.v2("POST", f"{paths[1]}/offsets").status in (200, 204)
        with Proxy(stack, cluster[2].settings, 2, THREADS, cluster[2].port):

            def fate() -> Reply | None:
                reply = cluster[0].v2("POST", f"{paths[2]}/offsets")
                return reply if reply.status != 503 else None

            found = wait_for(fate)
            assert found.json["error_code"] == 40403
            assert "since this worker started" in found.json["message"]


@pytest.mark.parametrize("path", ["/", "/topics", "/consumers/g/instances/i"])
def test_forged_signature_is_refused(cluster: list[Proxy], path: str) -> None:
    forged = {"X-Kafka-Rest-Peer": "127.0.0.1", "X-Kafka-Rest-Signature": "0" * 64}
    for proxy in cluster:
        refused = proxy.request("GET", path, headers=forged)
        assert (refused.status, refused.json["error_code"]) == (403, 403)
        assert SECRET not in proxy.log()


def test_proxies_that_disagree_say_so_and_relay_no_further(stack: Stack) -> None:
    mistaken = "a=http://127.0.0.1:{1},b=http://127.0.0.1:{0}"
    with running(stack, 2, peers=mistaken) as cluster:
        group = fresh_group()
        for owner, proxy in ((1, cluster[0]), (0, cluster[1])):
            body = {"name": name_of(group, owner, 2)}
            made = proxy.request("POST", f"/consumers/{group}", body, V1)
            # Its own URL is another's name: it gets its own request, and relays it no more.
            assert made.status == 503
            assert "disagree about cluster.peers" in made.json["message"]


def test_proxies_with_two_secrets_say_so(stack: Stack) -> None:
    other = {"cluster.secret": "another-secret-of-the-tests"}
    with running(stack, 2, {}, other) as cluster:
        group = fresh_group()
        body = {"name": name_of(group, 1, 2)}
        made = cluster[0].request("POST", f"/consumers/{group}", body, V1)
        assert made.status == 503
        assert "the proxy b" in made.json["message"]
        assert "their cluster.secret differs" in made.json["message"]


def test_proxies_that_wait_for_each_other_have_threads_left(stack: Stack) -> None:
    """Both relay to each other as much as they can, in the mode in which that takes threads."""
    with running(stack, 2, {"server.worker.class": "gthread"}) as cluster:
        groups = [fresh_group() for _ in cluster]
        paths = [
            f"/consumers/{group}/instances/{name_of(group, 1 - n, 2)}"
            for n, group in enumerate(groups)
        ]
        codes: list[int] = []

        def load(proxy: Proxy, path: str) -> None:
            codes.extend(proxy.request("DELETE", path).status for _ in range(10))

        threads = [
            threading.Thread(target=load, args=pair)
            for _ in range(4 * THREADS)
            for pair in zip(cluster, paths, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(codes) == 10 * len(threads)
        assert set(codes) <= {404, 429}


def test_owner_knows_the_client_that_another_proxy_has_let_in(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "users").write_text(htpasswd(alice=PASSWORDS["alice"], bob=PASSWORDS["bob"]))
    (tmp_path / "rules").write_text(
        "alice read,write topic *\nalice read group *\nbob read topic *\n"
    )
    settings = {
        "authentication.method": "BASIC",
        "authentication.htpasswd.file": str(tmp_path / "users"),
        "authentication.skip.paths": "/",
        "authorization.file": str(tmp_path / "rules"),
    }
    topic = stack.create_topic()
    with running(stack, 2, settings) as cluster:
        alice, bob = (RoundRobin(cluster, basic(name)) for name in ("alice", "bob"))
        records = [{"value": n, "partition": 0} for n in range(3)]
        produced = alice.request("POST", f"/topics/{topic}", {"records": records}, JSON)
        assert produced.status == 200, produced.body
        assert life(alice, topic, named=True) == []
        assert life(alice, topic, named=False) == []
        group = fresh_group()
        for peer in range(2):
            name = name_of(group, peer, peers=2)
            body = {"name": name, "format": "json"}
            assert alice.request("POST", f"/consumers/{group}", body, V2).status == 200
            # From both proxies, so that one of the two has to relay it.
            path, nobody = f"/consumers/{group}/instances/{name}", RoundRobin(cluster)
            for who, code in ((bob, 40301), (bob, 40301), (nobody, 401), (nobody, 401)):
                denied = who.request("DELETE", path, None, V2)
                assert denied.json["error_code"] == code, denied.body
