"""HTTPS beside HTTP: certificates of both sides, and new ones while consumers live."""

import http.client
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.certificates import Authority
from tests.stack import Proxy, Stack, free_port, wait_for

OURS, THEIRS = Authority("ours"), Authority("theirs")
V2 = "application/vnd.kafka.v2+json"
JSON = "application/vnd.kafka.json.v2+json"
SILENT = 40


class Secure:
    """A proxy that listens on both, and an HTTPS client of it."""

    def __init__(self, folder: Path, topic: str) -> None:
        self.folder, self.topic, self.port = folder, topic, free_port()
        self.proxy: Proxy

    def context(self, subject: str | None = None, authority: Authority = OURS) -> ssl.SSLContext:
        """What a client trusts, and shows."""
        context = ssl.create_default_context(cadata=OURS.pem)
        if subject is not None:
            certificate, key = authority.issue(O="Acme", CN=subject)
            path = self.folder / f"{subject}.pem"
            path.write_text(certificate + key)
            context.load_cert_chain(path)
        return context

    def connect(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)

    def ask(
        self,
        context: ssl.SSLContext,
        method: str,
        path: str,
        body: Any = None,
        media_type: str = V2,
        connection: http.client.HTTPSConnection | None = None,
    ) -> tuple[int, Any]:
        headers = {"Accept": media_type if method == "GET" else V2}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = media_type
        own = connection or self.connect(context)
        try:
            own.request(method, path, data, headers)
            answer = own.getresponse()
            said = answer.read()
        finally:
            if connection is None:
                own.close()
        return answer.status, json.loads(said) if said else None

    def new_certificate(self, authority: Authority = OURS) -> str:
        certificate, key = authority.issue(CN="localhost")
        (self.folder / "server.pem").write_text(certificate + key)
        return certificate

    def served(self) -> str:
        return ssl.get_server_certificate(("localhost", self.port))


def started(stack: Stack, folder: Path, **settings: str) -> Iterator[Secure]:
    made = Secure(folder, stack.create_topic(name="secure"))
    made.new_certificate()
    (folder / "ca.pem").write_text(OURS.pem)
    made.proxy = Proxy(stack)
    made.proxy.settings = {
        "listeners": f"http://127.0.0.1:{made.proxy.port},https://127.0.0.1:{made.port}",
        "ssl.keystore.location": f"{folder}/server.pem",
        **{name.replace("_", "."): value for name, value in settings.items()},
    }
    with made.proxy:
        yield made


@pytest.fixture(scope="module")
def secure(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    yield from started(stack, tmp_path_factory.mktemp("https"))


@pytest.fixture(scope="module")
def mutual(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Who is CN=ann may all with the topic; the plain listener is for nobody but `/`."""
    folder = tmp_path_factory.mktemp("mutual")
    (folder / "rules").write_text(
        '"CN=ann,O=Acme" read,write topic secure-*\n"CN=ann,O=Acme" read group *\n'
    )
    yield from started(
        stack,
        folder,
        ssl_truststore_location=f"{folder}/ca.pem",
        ssl_client_authentication="REQUIRED",
        authorization_file=f"{folder}/rules",
        authentication_skip_paths="/",
    )


def life(secure: Secure, context: ssl.SSLContext) -> None:
    """A record goes in and comes out, on one connection."""
    topic, connection = secure.topic, secure.connect(context)

    def ask(*request: Any) -> tuple[int, Any]:
        return secure.ask(context, *request, connection=connection)

    for value in range(3):
        asked = ask("POST", f"/topics/{topic}", {"records": [{"value": value}]}, JSON)
        assert asked[0] == 200, asked
    options = {"format": "json", "auto.offset.reset": "earliest"}
    status, made = ask("POST", f"/consumers/g-{time.monotonic_ns()}", options)
    assert status == 200
    assert made["base_uri"].startswith(f"https://localhost:{secure.port}/consumers/")
    instance = urlsplit(made["base_uri"]).path
    assert ask("POST", f"{instance}/subscription", {"topics": [topic]})[0] == 204
    found: list[Any] = []

    def read() -> bool:
        status, records = ask("GET", f"{instance}/records", None, JSON)
        assert status == 200, records
        found.extend(record["value"] for record in records)
        return len(found) >= 3

    wait_for(read)
    assert found[:3] == [0, 1, 2]
    assert ask("DELETE", instance)[0] == 204
    connection.close()


def test_whole_life_over_tls(secure: Secure) -> None:
    for _ in range(4):
        life(secure, secure.context())


def test_plain_listener_stays_plain(secure: Secure) -> None:
    assert secure.proxy.request("GET", "/topics").status == 200
    assert secure.proxy.create_v2().startswith("/consumers/")


def test_pipelined_requests_are_all_answered(secure: Secure) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        socket.create_connection(("localhost", secure.port), 20) as raw,
        secure.context().wrap_socket(raw, server_hostname="localhost") as client,
    ):
        client.sendall(request * 500)
        said = b""
        while said.count(b"HTTP/1.1 200 OK") < 500 or not said.endswith(b"{}"):
            more = client.recv(65536)
            assert more
            said += more


def test_new_certificate_is_shown_while_consumers_live(secure: Secure) -> None:
    context, workers = secure.context(), secure.proxy.worker_pids()
    topic, connection = secure.topic, secure.connect(context)
    status, made = secure.ask(context, "POST", "/consumers/lives", {"format": "json"})
    assert status == 200
    subscription = f"{urlsplit(made['base_uri']).path}/subscription"
    asked = secure.ask(context, "POST", subscription, {"topics": [topic]}, V2, connection)
    assert asked[0] == 204
    before = secure.served()
    fresh = secure.new_certificate()
    os.kill(secure.proxy.process.pid, signal.SIGHUP)
    # Several in a row, so that every worker is likely to have been met.
    wait_for(lambda: all(secure.served().split() == fresh.split() for _ in range(8)))
    assert fresh.split() != before.split()
    # The old connection goes on, and the consumer with it.
    for use in (connection, None):
        asked = secure.ask(context, "GET", subscription, None, V2, use)
        assert asked == (200, {"topics": [topic]})
    assert secure.proxy.worker_pids() == workers
    (secure.folder / "server.pem").write_text("damaged")
    os.kill(secure.proxy.process.pid, signal.SIGHUP)
    wait_for(lambda: "server.pem: has no certificate" in secure.proxy.log())
    assert secure.served().split() == fresh.split()
    assert secure.ask(context, "GET", subscription)[0] == 200
    connection.close()


def test_clients_that_say_nothing_keep_nobody_waiting(secure: Secure) -> None:
    silent = [socket.create_connection(("localhost", secure.port), 20) for _ in range(SILENT)]
    shaken = []
    try:
        for _ in range(SILENT):
            raw = socket.create_connection(("localhost", secure.port), 20)
            shaken.append(secure.context().wrap_socket(raw, server_hostname="localhost"))
        assert secure.ask(secure.context(), "GET", "/topics")[0] == 200
        assert secure.proxy.request("GET", "/topics").status == 200
    finally:
        for client in (*silent, *shaken):
            client.close()


def test_client_that_speaks_plainly_or_trusts_nobody_is_let_go(secure: Secure) -> None:
    with socket.create_connection(("localhost", secure.port), 20) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionError):
            assert not raw.recv(10).startswith(b"HTTP")
    with pytest.raises(ssl.SSLCertVerificationError):
        secure.ask(ssl.create_default_context(cadata=THEIRS.pem), "GET", "/")
    assert secure.ask(secure.context(), "GET", "/")[0] == 200


def test_certificate_says_who_the_client_is(mutual: Secure) -> None:
    life(mutual, mutual.context("ann"))
    status, said = mutual.ask(mutual.context("bob"), "GET", f"/topics/{mutual.topic}")
    assert (status, said["error_code"]) == (403, 40301)
    assert "CN=bob,O=Acme may not describe topic" in said["message"]


def test_no_certificate_or_another_authoritys_is_no_way_in(mutual: Secure) -> None:
    for context in (mutual.context(), mutual.context("eve", THEIRS)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            mutual.ask(context, "GET", "/")
    assert mutual.proxy.request("GET", "/topics").status == 401
