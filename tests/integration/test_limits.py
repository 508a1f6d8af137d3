"""Limits of each client: requests a second, records in one, consumers; by lane and ordinary way."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.credentials import PASSWORDS, basic, htpasswd
from tests.integration.wire.client import Answer, Client
from tests.stack import Proxy, Stack, wait_for

RATE = 10
RECORDS = 3


@pytest.fixture(scope="module")
def proxy(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """One worker, since each counts for itself."""
    users: Path = tmp_path_factory.mktemp("limits") / "users"
    users.write_text(htpasswd(**PASSWORDS))
    settings = {
        "authentication.method": "BASIC",
        "authentication.htpasswd.file": str(users),
        "authentication.skip.paths": "/",
        "request.rate.max": str(RATE),
        "request.records.max": str(RECORDS),
        "consumer.instances.per.principal.max": "1",
    }
    with Proxy(stack, settings, workers=1) as running:
        yield running


def request(name: str, path: str, body: Any, media_type: str = "json.v2") -> bytes:
    data = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: kafka\r\nAuthorization: {basic(name)}\r\n"
        f"Content-Type: application/vnd.kafka.{media_type}+json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode() + data


def records(count: int) -> dict[str, Any]:
    return {"records": [{"value": 1}] * count}


def patiently(client: Client, data: bytes) -> Answer:
    """The answer to a request that is made again while it is too early."""
    found: list[Answer] = []

    def answered() -> bool:
        found.append(client.ask(data))
        return found[-1].status != 429 or b"this worker, see request.rate" not in found[-1].body

    wait_for(answered)
    return found[-1]


def test_client_that_asks_too_often_is_told_and_the_others_are_served(
    proxy: Proxy, stack: Stack
) -> None:
    path = f"/topics/{stack.create_topic()}"
    with Client(proxy.port) as client:
        for _ in range(2):
            assert patiently(client, request("alice", path, records(1))).status == 200
        started, answers = time.monotonic(), []
        while not any(answer.status == 429 for answer in answers):
            answers += [client.ask(request("alice", path, records(1))) for _ in range(RATE)]
        let_in = sum(answer.status == 200 for answer in answers)
        assert let_in <= RATE * (1 + time.monotonic() - started) + 1
        refused = next(answer for answer in answers if answer.status == 429)
        assert b"\r\nRetry-After: 1\r\n" in refused.head
        assert refused.json["error_code"] == 429
        assert patiently(client, request("bob", path, records(1))).status == 200
        assert patiently(client, request("alice", path, records(1))).status == 200


def test_request_has_so_many_records(proxy: Proxy, stack: Stack) -> None:
    path = f"/topics/{stack.create_topic()}"
    with Client(proxy.port) as client:
        for media_type in ("json.v2", "json.v1"):
            for count, status in ((RECORDS, 200), (RECORDS + 1, 413), (RECORDS, 200)):
                for name in ("alice", "bob"):
                    data = request(name, path, records(count), media_type)
                    assert patiently(client, data).status == status
        answer = patiently(client, request("eve", path, records(RECORDS + 1)))
        assert "there are 4 records, and request.records.max is 3" in answer.json["message"]


def test_client_has_so_many_consumers(proxy: Proxy) -> None:
    with Client(proxy.port) as client:
        for name in ("alice", "bob"):
            made = patiently(client, request(name, "/consumers/g", {"name": name}, "v2"))
            assert made.status == 200
            more = patiently(client, request(name, "/consumers/g", {}, "v2"))
            assert (more.status, b"\r\nRetry-After: 1\r\n" in more.head) == (429, True)
            assert f"{name} has 1 consumer instances" in more.json["message"]
