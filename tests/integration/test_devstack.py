"""The development stack: the embedded broker and schema registry, and the command that runs
all of it.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema as ConfluentSchema
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from kafka_rest.devstack.children import ChildFailed, EmbeddedBroker, EmbeddedRegistry
from tests.stack import free_port, said_until, started, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as running:
        yield running


def call(registry: EmbeddedRegistry, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(registry.url + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def code(registry: EmbeddedRegistry, method: str, path: str, body: Any = None) -> int:
    status, answer = call(registry, method, path, body)
    assert status >= 400, answer
    assert status == int(str(answer["error_code"])[:3])
    assert answer["message"]
    return int(answer["error_code"])


def test_broker_takes_and_gives_records() -> None:
    with EmbeddedBroker(topics=("a:3",)) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        producer.produce("a", b"v", b"k", 2)
        assert producer.flush(10) == 0
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": "g",
                "group.protocol": "consumer",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.subscribe(["a"])
        message = wait_for(lambda: consumer.poll(0.1))
        assert (message.partition(), message.key(), message.value()) == (2, b"k", b"v")
        consumer.close()


def test_broker_on_a_fixed_port_comes_back_there() -> None:
    port = free_port()
    with EmbeddedBroker(port) as broker:
        assert broker.bootstrap == f"127.0.0.1:{port}"
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap, "reconnect.backoff.max.ms": 200}
        )
        for _ in range(2):
            broker.set_down()
            broker.set_up()
            producer.produce("t", b"v")
            assert producer.flush(10) == 0


def test_unknown_command_is_an_error_and_no_end() -> None:
    with EmbeddedBroker() as broker:
        with pytest.raises(ChildFailed, match="error"):
            broker.command("nonsense")
        broker.create_topic("t", 1)


@pytest.mark.parametrize("child", [EmbeddedBroker, EmbeddedRegistry])
def test_busy_port_is_said(child: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ChildFailed, match=f"{port} is in use"):
            child(port)


def test_child_ends_with_a_parent_that_is_killed() -> None:
    program = (
        "from kafka_rest.devstack.children import *; import time;"
        "print(EmbeddedBroker().pid, EmbeddedRegistry().pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_confluents_client_and_serializers_work_with_the_registry(
    registry: EmbeddedRegistry,
) -> None:
    client = SchemaRegistryClient({"url": registry.url})
    schema = {"type": "record", "name": "U", "fields": [{"name": "n", "type": "string"}]}
    context = SerializationContext("cc", MessageField.VALUE)
    data = AvroSerializer(client, json.dumps(schema))({"n": "x"}, context)
    assert AvroDeserializer(client)(data, context) == {"n": "x"}
    latest = client.get_latest_version("cc-value")
    assert (latest.version, latest.schema_id) == (1, int.from_bytes(data[1:5], "big"))
    assert "cc-value" in client.get_subjects()
    assert client.get_versions("cc-value") == [1]
    assert client.get_compatibility() == "BACKWARD"
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema("cc-value", ConfluentSchema('"int"', "AVRO"))
    assert refused.value.http_status_code == 409
    assert client.delete_subject("cc-value") == [1]


FIELD = {"name": "a", "type": "int"}


def record(*fields: Any) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": list(fields)})


@pytest.mark.parametrize(
    ("old", "new", "compatible"),
    [
        (record(FIELD), record(FIELD, {"name": "b", "type": "int"}), False),
        (record(FIELD), record(FIELD, {"name": "b", "type": "int", "default": 0}), True),
        (record(FIELD), record(), True),
        ('"int"', '"long"', True),
        ('"long"', '"int"', False),
        ('"int"', '["null","int"]', True),
        ('["null","int"]', '"int"', False),
        (
            '{"type":"enum","name":"E","symbols":["A","B"]}',
            '{"type":"enum","name":"E","symbols":["A"]}',
            False,
        ),
    ],
)
def test_backward_compatibility(
    registry: EmbeddedRegistry, old: str, new: str, compatible: bool
) -> None:
    subject = f"s{free_port()}-value"
    path = f"/subjects/{subject}/versions"
    assert call(registry, "POST", path, {"schema": old})[0] == 200
    check = f"/compatibility{path}/latest"
    assert call(registry, "POST", check, {"schema": new})[1]["is_compatible"] is compatible
    assert call(registry, "POST", path, {"schema": new})[0] == (200 if compatible else 409)
    call(registry, "PUT", f"/config/{subject}", {"compatibility": "NONE"})
    assert call(registry, "POST", path, {"schema": new})[0] == 200


def test_ids_are_global_and_versions_a_subjects(registry: EmbeddedRegistry) -> None:
    def register(subject: str, text: str) -> int:
        _, answer = call(registry, "POST", f"/subjects/{subject}/versions", {"schema": text})
        return int(answer["id"])

    first = register("g1", '"int"')
    assert register("g1", ' {"type": "int"} ') == first
    assert register("g2", '"int"') == first
    assert register("g1", '"long"') != first
    assert call(registry, "GET", "/subjects/g1/versions")[1] == [1, 2]
    found = call(registry, "POST", "/subjects/g2", {"schema": '"int"'})[1]
    assert (found["subject"], found["version"], found["id"]) == ("g2", 1, first)
    assert call(registry, "GET", f"/schemas/ids/{first}")[1] == {"schema": '"int"'}


def test_references_are_kept_and_guarded(registry: EmbeddedRegistry) -> None:
    call(registry, "POST", "/subjects/part/versions", {"schema": record(FIELD)})
    body = {
        "schema": '{"type":"array","items":"R"}',
        "references": [{"name": "R", "subject": "part", "version": 1}],
    }
    _, answer = call(registry, "POST", "/subjects/whole/versions", body)
    stored = call(registry, "GET", f"/schemas/ids/{answer['id']}")[1]
    assert stored["references"] == body["references"]
    assert code(registry, "DELETE", "/subjects/part/versions/1") == 42206
    body["references"] = [{"name": "R", "subject": "part", "version": 9}]
    assert code(registry, "POST", "/subjects/other/versions", body) == 42201


def test_errors_have_the_real_ones_codes(registry: EmbeddedRegistry) -> None:
    call(registry, "POST", "/subjects/e/versions", {"schema": '"int"'})
    assert code(registry, "GET", "/subjects/none/versions") == 40401
    assert code(registry, "GET", "/subjects/e/versions/9") == 40402
    assert code(registry, "GET", "/subjects/e/versions/0") == 42202
    assert code(registry, "GET", "/subjects/e/versions/abc") == 42202
    assert code(registry, "GET", "/schemas/ids/99999") == 40403
    assert code(registry, "POST", "/subjects/e", {"schema": '"string"'}) == 40403
    assert code(registry, "GET", "/config/e") == 40408
    assert code(registry, "PUT", "/config", {"compatibility": "SOME"}) == 42203
    assert code(registry, "POST", "/subjects/e/versions", {"schema": ""}) == 42201
    assert code(registry, "POST", "/subjects/e/versions", {"schema": '"nope"'}) == 42201
    assert (
        code(registry, "POST", "/subjects/e/versions", {"schema": "{}", "schemaType": "X"}) == 42201
    )
    assert code(registry, "DELETE", "/subjects/e?permanent=true") == 40407
    assert code(registry, "GET", "/nope") == 404
    assert code(registry, "PUT", "/subjects") == 405


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"schema":1}', b"[" * 9999])
def test_malformed_body_is_a_4xx(registry: EmbeddedRegistry, body: bytes) -> None:
    for path in (
        "/subjects/m/versions",
        "/subjects/m",
        "/compatibility/subjects/m/versions/latest",
    ):
        assert 400 <= code(registry, "POST", path, body) < 50000


def test_stack_is_ready_and_leaves_nothing_behind() -> None:
    port = free_port()
    command = [sys.executable, "-m", "kafka_rest.server.cli", "dev", "--port", str(port)]
    with started(command) as run:
        said = said_until(run, "Ctrl-C ends it")
        assert f"http://localhost:{port}" in said
        commands = re.findall(r"curl (?:\\\n|[^\n])+", said)
        assert len(commands) == 3
        for line in commands:
            shell = line.replace("\\\n", " ")
            done = subprocess.run(shell, shell=True, capture_output=True, text=True, timeout=20)
            assert done.returncode == 0, line
            assert '"error_code":4' not in done.stdout
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        assert len(children) == 3
        again = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert again.returncode == 1
        assert again.stderr.startswith(f"Port {port} is in use")
        assert not again.stdout
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 0
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]
