"""The gate: who gets through, as whom, and what goes no further."""

import io
import json
import socket
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest.api.rights import RIGHTS, admit
from kafka_rest.errors import TopicForbidden
from kafka_rest.security.authority import Authority
from kafka_rest.security.principals import PRINCIPAL, header_of
from kafka_rest.server.gate import Gate
from tests.unit.security.test_authority import settings
from tests.unit.security.test_passwords import basic

GOOD = f"Basic {basic('alice', 'secret')}"


class Bench:
    def __init__(self, folder: Path, *more: str, rules: str | None = None) -> None:
        given = settings(folder, rules, *more)
        self.seen: dict[str, Any] = {}
        self.gate = Gate(self._app, Authority(given), given)

    def _app(self, environ: Any, _start_response: Any) -> Iterable[bytes]:
        self.seen = dict(environ)
        return [b"served"]

    def ask(self, family: int = socket.AF_INET, **environ: str) -> tuple[str, dict[str, str], Any]:
        """The answer to a request: status, headers, body; "" where it got through."""
        got: list[Any] = ["", []]
        given = {
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/topics",
            "wsgi.input": io.BytesIO(),
            "gunicorn.socket": SimpleNamespace(family=family),
            **environ,
        }

        def start_response(status: str, headers: Any) -> None:
            got[:] = [status, headers]

        body = b"".join(self.gate(given, start_response))  # type: ignore[arg-type]
        return got[0], dict(got[1]), body if not got[0] else json.loads(body)


def test_client_gets_through_as_who_it_is_and_without_its_password(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.ask(HTTP_AUTHORIZATION=GOOD)[2] == b"served"
    assert bench.seen[PRINCIPAL] == "alice"
    assert "HTTP_AUTHORIZATION" not in bench.seen
    assert GOOD not in map(str, bench.seen.values())


def test_refusal_is_401_with_a_challenge(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    status, headers, body = bench.ask()
    assert status == "401 Unauthorized"
    assert headers["WWW-Authenticate"] == 'Basic realm="kafka-rest"'
    assert body == {
        "error_code": 40101,
        "message": "Not authenticated: Basic credentials are needed.",
    }
    assert not bench.seen


def test_only_a_worker_may_say_whose_request_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    name = header_of({PRINCIPAL: "CN=ü a%b"})["X-Kafka-Rest-Principal"]
    assert name.isascii()
    assert bench.ask(HTTP_X_KAFKA_REST_PRINCIPAL=name)[0] == "401 Unauthorized"
    bench.ask(HTTP_X_KAFKA_REST_PRINCIPAL=name, HTTP_AUTHORIZATION=GOOD)
    assert bench.seen[PRINCIPAL] == "alice"
    assert "HTTP_X_KAFKA_REST_PRINCIPAL" not in bench.seen
    bench.ask(socket.AF_UNIX, HTTP_X_KAFKA_REST_PRINCIPAL=name)
    assert bench.seen[PRINCIPAL] == "CN=ü a%b"


def test_skipped_path_needs_no_credentials(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "authentication.skip.paths=/,/health")
    assert bench.ask(RAW_URI="/?a=b")[2] == b"served"
    assert bench.seen[PRINCIPAL] == "ANONYMOUS"
    assert bench.ask(RAW_URI="/topics")[0] == "401 Unauthorized"


def test_browser_may_ask_whether_it_may_ask(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "access.control.allow.origin=http://a")
    preflight = {"HTTP_ORIGIN": "http://a", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
    assert bench.ask(REQUEST_METHOD="OPTIONS", **preflight)[2] == b"served"
    status, headers, _ = bench.ask(HTTP_ORIGIN="http://a")
    assert status == "401 Unauthorized"
    assert headers["Access-Control-Allow-Origin"] == "http://a"
    plain = Bench(tmp_path)
    assert plain.ask(REQUEST_METHOD="OPTIONS", **preflight)[0] == "401 Unauthorized"


def test_endpoint_that_nobody_has_thought_of_is_refused(tmp_path: Path) -> None:
    rights = Authority(settings(tmp_path, "* admin topic *")).rights("alice")
    with pytest.raises(TopicForbidden, match="new is open to nobody"):
        admit({RIGHTS: rights}, "new", {})
