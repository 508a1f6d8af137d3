"""Clients with tokens: keys from a URL, a token that ends on a connection that stays."""

import http.server
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credentials import produce_as
from tests.integration.wire.client import Client
from tests.serving import serving
from tests.stack import Proxy, Stack, wait_for
from tests.tokens import Issuer, jwks

REPEATS = 4
RULES = "ann write topic *\n"


class Keys:
    """Serves a JWKS, but nothing that would have an end while it trickles.

    `left` is set once a client does not wait for more.
    """

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.trickles = False
        self.left = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                try:
                    while outer.trickles:
                        self.wfile.write(b" ")
                        time.sleep(0.2)
                    self.wfile.write(jwks(outer.issuer).encode())
                except OSError:
                    outer.left.set()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    made = Keys()
    with serving(made.server):
        yield made


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "rules"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def proxy(stack: Stack, keys: Keys, rules: Path) -> Iterator[Proxy]:
    settings = {
        "authentication.method": "BEARER",
        "authentication.jwks": keys.url,
        "authentication.jwt.audience": "kafka",
        "authentication.jwt.leeway.ms": "0",
        "authentication.skip.paths": "/",
        "authorization.file": str(rules),
        "server.access.log": "true",
        "debug": "true",
    }
    with Proxy(stack, settings) as running:
        wait_for(lambda: ask(running, keys.issuer.token(**claims())) == 200)
        yield running


def claims(seconds: float = 600) -> dict[str, object]:
    return {"sub": "ann", "aud": "kafka", "exp": time.time() + seconds}


def ask(proxy: Proxy, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return proxy.request("GET", "/topics", headers=headers).status


def produce(topic: str, token: str) -> bytes:
    return produce_as(f"Bearer {token}", f"/topics/{topic}")


def test_known_head_is_refused_once_its_token_has_ended(
    proxy: Proxy, stack: Stack, keys: Keys
) -> None:
    topic = stack.create_topic()
    short, long = (keys.issuer.token(**claims(seconds)) for seconds in (4, 600))
    with Client(proxy.port) as client:
        for _ in range(REPEATS):
            assert client.ask(produce(topic, short)).status == 200
            assert client.ask(produce(topic, long)).status == 200
        wait_for(lambda: client.ask(produce(topic, short)).status == 401)
        refused = client.ask(produce(topic, short))
        assert b'WWW-Authenticate: Bearer realm="kafka-rest"' in refused.head
        assert refused.json["error_code"] == 401
        assert "it has expired" in refused.json["message"]
        assert client.ask(produce(topic, long)).status == 200
    said = proxy.log() + refused.body.decode()
    for secret in (*short.split("."), *long.split(".")):
        assert secret not in said


def test_keys_that_trickle_in_hold_up_no_rules_and_are_given_up(
    proxy: Proxy, stack: Stack, keys: Keys, rules: Path
) -> None:
    topic, token = stack.create_topic(), keys.issuer.token(**claims())

    def follow(text: str, status: int) -> None:
        rules.write_text(text)
        os.kill(proxy.process.pid, signal.SIGHUP)
        wait_for(lambda: client.ask(produce(topic, token)).status == status)

    with Client(proxy.port) as client:
        assert client.ask(produce(topic, token)).status == 200
        keys.trickles = True
        try:
            follow("bob write topic *\n", 403)
            follow(RULES, 200)
            assert keys.left.wait(30)
        finally:
            keys.trickles = False


def test_new_keys_take_the_place_of_the_old(proxy: Proxy, stack: Stack, keys: Keys) -> None:
    topic, old = stack.create_topic(), keys.issuer.token(**claims())
    with Client(proxy.port) as client:
        for _ in range(REPEATS):
            assert client.ask(produce(topic, old)).status == 200
        keys.issuer = Issuer("k2")
        fresh = keys.issuer.token(**claims())
        assert ask(proxy, fresh) == 401
        # Every worker fetches by itself, each once it has seen the new key.
        wait_for(lambda: all(ask(proxy, fresh) == 200 for _ in range(8)), 30)
        wait_for(lambda: client.ask(produce(topic, old)).status == 401, 30)
