"""Clients with passwords and rules before two workers: every endpoint, known heads, and SIGHUP."""

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.credentials import PASSWORDS, basic, htpasswd, produce_as
from tests.integration.wire.client import Client
from tests.stack import Proxy, Reply, Stack, free_port, wait_for

REPEATS = 4
WORKERS = 2


class Secured:
    """A proxy with two files: alice may all with her topic, bob may read, eve may nothing.

    boss administers alice's groups, and may read all topics.
    """

    def __init__(self, proxy: Proxy, folder: Path, topic: str, other: str) -> None:
        self.proxy, self.folder, self.topic, self.other = proxy, folder, topic, other

    def at(self, slot: int) -> "Secured":
        """The same, by the port of one worker."""
        proxy = Proxy(self.proxy.stack, port=self.proxy.port + 1 + slot)
        return Secured(proxy, self.folder, self.topic, self.other)

    @property
    def rules(self) -> str:
        return (
            f"alice read,write topic {self.topic}\n"
            "alice read group a-*\nboss read,admin group a-*\nboss read topic *\n"
            f"bob read topic {self.topic}\nbob read group *\n"
        )

    def reload(self, **files: str) -> None:
        """Write files, and have them read by every worker."""
        for name, text in files.items():
            (self.folder / name).write_text(text)
        os.kill(self.proxy.process.pid, signal.SIGHUP)

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        body: Any = None,
        fmt: str = "",
        version: str = "v2",
    ) -> Reply:
        plain = f"application/vnd.kafka.{version}+json"
        embedded = f"application/vnd.kafka.{fmt}.{version}+json" if fmt else plain
        headers = {"Accept": embedded if method == "GET" else plain}
        if body is not None:
            headers["Content-Type"] = embedded
        if name:
            headers["Authorization"] = basic(name)
        return self.proxy.request(method, path, body, headers)

    def create(self, client: str, group: str, **options: Any) -> str:
        made = self.ask(client, "POST", f"/consumers/{group}", {"format": "json", **options})
        assert made.status == 200, made
        return urlsplit(made.json["base_uri"]).path


@pytest.fixture(scope="module")
def secured(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    topic, other = stack.create_topic(name="hers"), stack.create_topic(name="other")
    made = Secured(None, folder, topic, other)  # type: ignore[arg-type]
    (folder / "users").write_text(htpasswd(**PASSWORDS))
    (folder / "rules").write_text(made.rules)
    settings = {
        "authentication.method": "BASIC",
        "authentication.htpasswd.file": f"{folder}/users",
        "authorization.file": f"{folder}/rules",
        "authentication.skip.paths": "/",
        "consumer.pinning.listeners": "true",
        "server.access.log": "true",
        "debug": "true",
    }
    with Proxy(stack, settings, workers=WORKERS, port=free_port(1 + WORKERS)) as running:
        made.proxy = running
        yield made


class Row(NamedTuple):
    """A request, and who may make it."""

    method: str
    path: str
    may: frozenset[str]
    body: Any = None
    fmt: str = ""
    version: str = "v2"


def rows(topic: str, instance: str) -> list[Row]:
    alice, readers, all_of = (frozenset(x) for x in (["alice"], ["alice", "bob"], PASSWORDS))
    here = [{"topic": topic, "partition": 0}]
    records = {"records": [{"value": 1}]}
    found = [
        Row("GET", "/topics", all_of),
        Row("GET", "/brokers", all_of),
        Row("GET", f"/topics/{topic}", readers),
        Row("GET", f"/topics/{topic}/partitions", readers),
        Row("GET", f"/topics/{topic}/partitions/0", readers),
        Row("GET", f"/topics/{topic}/partitions/0/offsets", readers),
        Row("GET", f"/topics/{topic}", readers, version="v1"),
        Row("POST", f"/topics/{topic}", alice, records, "json"),
        Row("POST", f"/topics/{topic}/partitions/0", alice, records, "json"),
        Row("POST", f"/topics/{topic}", alice, {"records": [{"value": "YQ=="}]}, "binary", "v1"),
        Row(
            "GET",
            f"/topics/{topic}/partitions/0/messages?count=1",
            readers,
            None,
            "binary",
            "v1",
        ),
        Row("POST", f"{instance}/assignments", alice, {"partitions": here}),
        Row("GET", f"{instance}/assignments", alice),
        Row("POST", f"{instance}/positions/beginning", alice, {"partitions": here}),
        Row("POST", f"{instance}/positions/end", alice, {"partitions": here}),
        Row("POST", f"{instance}/positions", alice, {"offsets": [{**here[0], "offset": 0}]}),
        Row("GET", f"{instance}/records", alice, None, "json"),
        Row("POST", f"{instance}/offsets", alice, {"offsets": [{**here[0], "offset": 1}]}),
        Row("GET", f"{instance}/offsets", alice, {"partitions": here}),
        Row("POST", f"{instance}/offsets", alice),
        Row("DELETE", f"{instance}/subscription", alice),
        Row("POST", f"{instance}/subscription", alice, {"topics": [topic]}),
        Row("GET", f"{instance}/subscription", alice),
        Row("DELETE", instance, alice),
    ]
    return found


def test_every_endpoint_serves_who_may_and_nobody_else(secured: Secured) -> None:
    # Instances of both workers, so that some requests are relayed and some are not.
    for number in range(4):
        instance = secured.create("alice", f"a-all-{number}", name="i")
        for row in rows(secured.topic, instance):
            asked = (row.method, row.path, row.body, row.fmt, row.version)
            assert secured.ask("", *asked).status == 401, row
            for name in ("eve", "bob", "alice"):
                reply = secured.ask(name, *asked)
                if name in row.may:
                    assert reply.status in (200, 204), (name, row, reply)
                else:
                    assert reply.status == 403, (name, row, reply)
                    assert reply.json["error_code"] == 40301
                    assert f"{name} " in reply.json["message"]


def test_lists_show_what_may_be_described(secured: Secured) -> None:
    for version in ("v1", "v2"):
        for name, seen in {"alice": [secured.topic], "bob": [secured.topic], "eve": []}.items():
            assert secured.ask(name, "GET", "/topics", version=version).json == seen


def test_bodies_that_name_a_topic_without_rights_are_refused(secured: Secured) -> None:
    instance, other = secured.create("alice", "a-2"), secured.other
    there = [{"topic": other, "partition": 0}]
    for path, body in {
        "subscription": {"topics": [secured.topic, other]},
        "assignments": {"partitions": there},
        "positions": {"offsets": [{**there[0], "offset": 0}]},
        "positions/end": {"partitions": there},
        "offsets": {"offsets": [{**there[0], "offset": 0}]},
    }.items():
        reply = secured.ask("alice", "POST", f"{instance}/{path}", body)
        assert (reply.status, reply.json["error_code"]) == (403, 40301), (path, reply)
        assert f"alice may not read topic {other}." in reply.json["message"]
    committed = secured.ask("alice", "GET", f"{instance}/offsets", {"partitions": there})
    assert f"alice may not describe topic {other}." in committed.json["message"]
    v1 = secured.create("alice", "a-2", name="old")
    read = secured.ask("alice", "GET", f"{v1}/topics/{other}", version="v1", fmt="json")
    assert read.status == 403
    for path in (instance, v1):
        assert secured.ask("alice", "DELETE", path).status == 204


def test_pattern_takes_the_topics_that_may_be_read(secured: Secured) -> None:
    instance = secured.create("alice", "a-3")
    asked = secured.ask("alice", "POST", f"{instance}/subscription", {"topic_pattern": ".*"})
    assert asked.status == 204, asked
    found = secured.ask("alice", "GET", f"{instance}/subscription").json
    assert found == {"topics": [secured.topic]}
    assert secured.ask("alice", "DELETE", instance).status == 204


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_waiting_read_brings_nothing_of_a_topic_that_another_client_has_subscribed_to(
    secured: Secured, stack: Stack, version: str
) -> None:
    topic, other = secured.topic, secured.other
    options = {"auto.offset.reset": "latest", "consumer.request.timeout.ms": 60_000}
    instance = secured.create("alice", f"a-waits-{version}", **options)
    subscription, path = f"{instance}/subscription", f"{instance}/records"
    if version == "v1":
        path = f"{instance}/topics/{topic}"
    assert secured.ask("alice", "POST", subscription, {"topics": [topic]}).status == 204
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(secured.ask, "alice", "GET", path, None, "json", version)
        waits = b'waiting_reads{held="instance"} 1.0'
        wait_for(lambda: waits in secured.proxy.request("GET", "/metrics").body)
        both = {"topics": [topic, other]}
        assert secured.ask("boss", "POST", subscription, both).status == 204
        # The read starts from the end of a topic that it joins for.
        wait_for(lambda: stack.produce(other, [(0, None, b"1")]) or read.done())
        reply = read.result()
    assert (reply.status, reply.json["error_code"]) == (403, 40301), reply
    assert f"alice may not read topic {other}." in reply.json["message"]
    theirs = secured.ask("boss", "GET", f"{instance}/records", fmt="json")
    assert {record["topic"] for record in theirs.json} == {other}
    assert secured.ask("alice", "DELETE", instance).status == 204


def produce(path: str, name: str) -> bytes:
    return produce_as(basic(name), path)


def everyone_knows_alice(secured: Secured) -> None:
    """Wait until each worker has read the files that let her in, and has checked her password."""
    path = f"/topics/{secured.topic}"
    workers = [secured.at(slot) for slot in range(WORKERS)]
    wait_for(lambda: all(worker.ask("alice", "GET", path).status == 200 for worker in workers))


def test_known_head_is_forgotten_with_the_rules_that_let_it_in(secured: Secured) -> None:
    path = f"/topics/{secured.topic}"
    with Client(secured.proxy.port) as client:
        for _ in range(REPEATS):
            assert client.ask(produce(path, "alice")).status == 200
            assert client.ask(produce(path, "bob")).status == 403
        secured.reload(rules=f"bob write topic {secured.topic}\n")
        wait_for(lambda: client.ask(produce(path, "alice")).status == 403)
        for _ in range(REPEATS):
            assert client.ask(produce(path, "alice")).status == 403
            assert client.ask(produce(path, "bob")).status == 200
        secured.reload(rules=secured.rules)
        wait_for(lambda: client.ask(produce(path, "alice")).status == 200)
        wait_for(lambda: client.ask(produce(path, "bob")).status == 403)
    everyone_knows_alice(secured)


def test_known_head_is_forgotten_with_the_password_in_it(secured: Secured) -> None:
    path = f"/topics/{secured.topic}"
    with Client(secured.proxy.port) as client:
        for _ in range(REPEATS):
            assert client.ask(produce(path, "alice")).status == 200
        secured.reload(users=htpasswd(**{**PASSWORDS, "alice": "another"}))
        wait_for(lambda: client.ask(produce(path, "alice")).status == 401)
        secured.reload(users=htpasswd(**PASSWORDS))
        wait_for(lambda: client.ask(produce(path, "alice")).status == 200)
    everyone_knows_alice(secured)


def test_consumers_live_on_and_a_bad_file_changes_nothing(secured: Secured) -> None:
    workers = secured.proxy.worker_pids()
    instance = secured.create("alice", "a-4")
    secured.reload(rules="alice raed topic t\n")
    wait_for(lambda: "rules line 1: 'raed' is no operation" in secured.proxy.log())
    assert secured.ask("alice", "GET", f"{instance}/subscription").status == 200
    secured.reload(rules="bob read topic x\n")
    wait_for(lambda: secured.ask("alice", "GET", f"{instance}/subscription").status == 403)
    secured.reload(rules=secured.rules)
    everyone_knows_alice(secured)
    assert secured.proxy.worker_pids() == workers
    assert secured.ask("alice", "DELETE", instance).status == 204


def test_worker_that_is_made_later_has_the_newest_rules(secured: Secured) -> None:
    secured.reload(rules=secured.rules + "eve describe topic *\n")
    path = f"/topics/{secured.topic}"
    # Both workers have read it: what comes next one of them could not read any more.
    both = [secured.at(slot) for slot in range(WORKERS)]
    wait_for(lambda: all(worker.ask("eve", "GET", path).status == 200 for worker in both))
    # What cannot be used is not what a new worker begins with.
    secured.reload(rules="bad\n")
    wait_for(lambda: "rules line 1: has 1 words" in secured.proxy.log())
    before = secured.proxy.worker_pids()
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(set(secured.proxy.worker_pids()) - set(before)) == 1)
    for _ in range(20):
        assert secured.ask("eve", "GET", path).status == 200
    secured.reload(rules=secured.rules)
    wait_for(lambda: all(worker.ask("eve", "GET", path).status == 403 for worker in both))


def test_answers_are_the_same_whoever_serves_the_request(secured: Secured) -> None:
    path = f"/topics/{secured.topic}"
    with Client(secured.proxy.port) as client:
        known = [client.ask(produce(path, "alice")).steady for _ in range(REPEATS)]
        unseen = produce(path, "alice").replace(b"Host", b"X-Unseen: 1\r\nHost")
        assert [client.ask(unseen).steady] * REPEATS == known


def test_flood_of_wrong_passwords_leaves_the_others_their_answers(secured: Secured) -> None:
    wrong = produce("/topics/x", "alice").replace(
        basic("alice").encode(), basic("alice", "wrong").encode()
    )
    everyone_knows_alice(secured)
    flood = [Client(secured.proxy.port) for _ in range(24)]
    try:
        for client in flood:
            client.send(wrong)
        assert secured.ask("alice", "GET", f"/topics/{secured.topic}").status == 200
        assert {client.answer().status for client in flood} <= {401, 503}
    finally:
        for client in flood:
            client.close()


def test_no_secret_is_in_answers_or_logs(secured: Secured) -> None:
    hashes = re.findall(r"\$2b\$\S+", (secured.folder / "users").read_text())
    replies = [
        secured.ask(name, "GET", path)
        for name in PASSWORDS
        for path in ("/topics", f"/topics/{secured.topic}", "/nothing", "/topics/x/partitions/y")
    ]
    wrong = {"Authorization": basic("alice", "planted-wrong")}
    replies.append(secured.proxy.request("GET", "/topics", headers=wrong))
    time.sleep(0.1)
    said = secured.proxy.log() + "".join(f"{r.headers}{r.body!r}" for r in replies)
    for secret in (*PASSWORDS.values(), *hashes, "planted-", *map(basic, PASSWORDS)):
        assert secret not in said
        assert secret.removeprefix("Basic ") not in said
