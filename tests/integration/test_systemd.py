"""Under systemd: what the server says to it, the socket that outlives it, its sandbox."""

import http.client
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, free_port, wait_for
from tests.systemd import Instance

STARTED = "Server started, listening for requests..."
# A real schema registry knows it for one by its first member.
JSON_SCHEMA = (
    '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "string", "pattern": "^a+$"}'
)
PROTOBUF = 'syntax = "proto3"; message Move { string piece = 1; }'


@pytest.fixture
def instance(stack: Stack, tmp_path: Path) -> Iterator[Instance]:
    with Instance(stack, tmp_path) as running:
        yield running


def test_ready_is_said_when_all_workers_are_ready(instance: Instance) -> None:
    assert [words.splitlines()[0] for words in instance.words] == ["READY=1"]
    assert STARTED in instance.log()


def test_only_the_master_speaks(instance: Instance) -> None:
    os.kill(instance.worker_pids()[0], signal.SIGKILL)
    instance.stop()
    instance.hear("STOPPING=1")
    assert instance.speakers == {instance.process.pid}


def test_stop_announces_how_long_it_may_take(stack: Stack, tmp_path: Path) -> None:
    with Instance(stack, tmp_path, {"shutdown.graceful.ms": "60000"}) as instance:
        instance.stop()
        said = instance.hear("STOPPING=1").splitlines()
    assert said[1] == f"EXTEND_TIMEOUT_USEC={65 * 1_000_000}"


def test_reload_lasts_until_the_new_workers_are_ready(instance: Instance) -> None:
    old = set(instance.worker_pids())
    instance.reload()
    instance.hear("RELOADING=1")
    instance.hear("READY=1")
    assert len(set(instance.worker_pids()) - old) == 2


def test_server_without_a_healthy_worker_shows_no_sign_of_life(
    stack: Stack, tmp_path: Path
) -> None:
    with Instance(stack, tmp_path, watchdog_seconds=5) as instance:
        instance.hear("WATCHDOG=1")
        stuck = instance.worker_pids()[0]
        os.kill(stuck, signal.SIGSTOP)
        instance.fall_silent()
        os.kill(stuck, signal.SIGCONT)
        instance.hear("WATCHDOG=1")
        # One that is gone is replaced, and that is enough.
        os.kill(stuck, signal.SIGKILL)
        wait_for(lambda: stuck not in instance.worker_pids() and len(instance.worker_pids()) == 2)
        instance.hear("WATCHDOG=1")


def test_settings_follow_the_instance(instance: Instance) -> None:
    pid_file = instance.folder / "kafka-rest" / str(instance.port) / "kafka-rest.pid"
    assert pid_file.read_text().strip() == str(instance.process.pid)
    made = instance.create_consumer()
    assert f"/rest-consumer-host-{instance.port}-" in made
    assert instance.request("DELETE", made).status == 204


def test_workers_own_listeners_live_beside_the_socket(stack: Stack, tmp_path: Path) -> None:
    """Requests are relayed between workers through private sockets, and each has its port."""
    with Instance(stack, tmp_path, {"consumer.pinning.listeners": "true"}) as instance:
        for number in range(6):
            made = instance.v2("POST", "/consumers/g", {"name": f"i{number}"})
            assert made.status == 200, made
            assert instance.v2("DELETE", f"/consumers/g/instances/i{number}").status == 204
        for slot in (1, 2):
            connection = http.client.HTTPConnection("127.0.0.1", instance.port + slot, timeout=20)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            connection.close()


def test_restart_under_load_refuses_no_connection(stack: Stack, tmp_path: Path) -> None:
    """Nor does one end without an answer: what the old server took, it answers."""
    topic = stack.create_topic()
    failures: list[object] = []
    offsets: list[int] = []
    over = threading.Event()
    with Instance(stack, tmp_path) as instance:

        def load() -> None:
            while not over.is_set():
                try:
                    reply = instance.produce(topic, [{"value": "YQ=="}])
                except OSError as error:
                    failures.append(error)
                else:
                    offsets.append(reply.json["offsets"][0]["offset"])

        threads = [threading.Thread(target=load, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            so_far = len(offsets)
            wait_for(lambda before=so_far: len(offsets) > before + 100)
            instance.stop()
            instance.start()
            instance.hear("READY=1")
        over.set()
        for thread in threads:
            thread.join(30)
    assert failures == []
    assert len(set(offsets)) == len(offsets)


def test_connection_waits_for_a_server_that_is_not_there(stack: Stack, tmp_path: Path) -> None:
    with Instance(stack, tmp_path) as instance:
        instance.stop()
        answers: list[int] = []
        client = threading.Thread(
            target=lambda: answers.append(instance.request("GET", "/").status)
        )
        client.start()
        instance.start()
        client.join(30)
    assert answers == [200]


def test_socket_of_another_port_stops_the_start(stack: Stack, tmp_path: Path) -> None:
    other = free_port()
    instance = Instance(stack, tmp_path, {"listeners": f"http://127.0.0.1:{other}"})
    with pytest.raises(AssertionError, match="no READY=1"):
        instance.__enter__()
    assert instance.process.returncode == 1
    assert f"sockets of port {instance.port}, but the settings listen on port {other}" in (
        instance.log()
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay a sandbox around a process")
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_all_formats_work_in_the_sandbox(stack: Stack, tmp_path: Path) -> None:
    """Sockets and descriptors between workers, /dev/shm and generated code among what they take."""
    topic = stack.create_topic(3)
    with Instance(stack, tmp_path, sandboxed=True) as instance:
        status = Path(f"/proc/{instance.worker_pids()[0]}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "Seccomp:\t2" in status
        for fmt, schema, value in [
            ("json", None, {"a": 1}),
            ("avro", '"string"', "a"),
            ("jsonschema", JSON_SCHEMA, "a"),
            ("protobuf", PROTOBUF, {"piece": "rook"}),
        ]:
            topic = stack.create_topic()
            body = {"records": [{"value": value}]} | ({"value_schema": schema} if schema else {})
            made = instance.v2("POST", f"/topics/{topic}", body, fmt)
            assert (made.status, made.json["offsets"][0].get("error")) == (200, None), made
            for number in range(2):
                reader = instance.v2(
                    "POST",
                    f"/consumers/{topic}-{number}",
                    {"name": f"i{number}", "format": fmt, "auto.offset.reset": "earliest"},
                ).json["base_uri"]
                instance.v2("POST", f"{reader}/subscription", {"topics": [topic]})
                found = instance.read_all(reader, 1, fmt)
                assert [record["value"] for record in found] == [value]
                assert instance.v2("DELETE", reader).status == 204
        assert "Operation not permitted" not in instance.log()
