"""The gate: who gets through, as whom, and what goes no further."""

import io
import json
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest.api.parking import LANE
from kafka_rest.api.rights import RIGHTS, admit
from kafka_rest.errors import TooManyRequests, TopicForbidden
from kafka_rest.security.authority import Authority
from kafka_rest.security.principals import PRINCIPAL, header_of
from kafka_rest.server.gate import Gate
from kafka_rest.server.peers import Peers
from kafka_rest.settings import Cluster, Peer
from tests.unit.security.test_authority import settings
from tests.unit.security.test_passwords import basic

PROXIES = (Peer("a", "http://10.0.0.1:8082"), Peer("b", "http://10.0.0.2:8082"))
CLUSTER_SECRET = "between proxies only"
GOOD = f"Basic {basic('alice', 'secret')}"


class Bench:
    def __init__(self, folder: Path, *more: str, rules: str | None = None) -> None:
        given = settings(folder, rules, *more)
        self.seen: dict[str, Any] = {}
        self.at = "/run/kafka-rest/slot-1.sock.77"
        peers = Peers(Cluster(PROXIES, 0, CLUSTER_SECRET), 1, threading.Event())
        self.gate = Gate(self._app, Authority(given), given, peers)

    def _app(self, environ: Any, _start_response: Any) -> Iterable[bytes]:
        self.seen = dict(environ)
        return [b"served"]

    def ask(self, family: int = socket.AF_INET, **environ: Any) -> tuple[str, dict[str, str], Any]:
        """The answer to a request: status, headers, body; "" where it got through."""
        got: list[Any] = ["", []]
        given = {
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/topics",
            "wsgi.input": io.BytesIO(),
            "gunicorn.socket": SimpleNamespace(family=family, getsockname=lambda: self.at),
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
        "error_code": 401,
        "message": "Not authenticated: Basic credentials are needed.",
    }
    assert not bench.seen


def test_refusal_of_head_has_no_body(tmp_path: Path) -> None:
    got: list[Any] = []
    environ = {"REQUEST_METHOD": "HEAD", "RAW_URI": "/topics", "wsgi.input": io.BytesIO()}
    assert list(Bench(tmp_path).gate(environ, lambda *words: got.append(words))) == []
    assert got[0][0] == "401 Unauthorized"


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
    # A Unix socket that the server listens on is as public as a port.
    bench.at = "/run/kafka-rest.sock"
    refused = bench.ask(socket.AF_UNIX, HTTP_X_KAFKA_REST_PRINCIPAL=name)
    assert refused[0] == "401 Unauthorized"


def test_another_proxy_may_say_whose_request_it_is_and_nobody_in_its_name(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sender = Peers(Cluster(PROXIES, 1, CLUSTER_SECRET), 1, threading.Event())
    signature = sender._signature("GET", "/topics", "10.1.1.1", "http", "CN%3Dbob")
    relayed = {
        "HTTP_X_KAFKA_REST_PEER": "10.1.1.1",
        "HTTP_X_KAFKA_REST_SCHEME": "http",
        "HTTP_X_KAFKA_REST_PRINCIPAL": "CN%3Dbob",
        "HTTP_X_KAFKA_REST_SIGNATURE": signature,
    }
    assert bench.ask(**relayed)[2] == b"served"
    assert (bench.seen[PRINCIPAL], bench.seen["REMOTE_ADDR"]) == ("CN=bob", "10.1.1.1")
    forged = relayed | {"HTTP_X_KAFKA_REST_PRINCIPAL": "CN%3Droot"}
    assert bench.ask(**forged)[0] == "403 Forbidden"
    # With a password as well, it is still no proxy.
    assert bench.ask(**forged, HTTP_AUTHORIZATION=GOOD)[0] == "403 Forbidden"
    unsigned = {name: value for name, value in relayed.items() if "SIGNATURE" not in name}
    assert bench.ask(**unsigned)[0] == "401 Unauthorized"
    assert bench.ask(**unsigned, HTTP_AUTHORIZATION=GOOD)[2] == b"served"
    assert bench.seen[PRINCIPAL] == "alice"


def test_skipped_path_needs_no_credentials(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "authentication.skip.paths=/,/health")
    assert bench.ask(RAW_URI="/?a=b")[2] == b"served"
    assert bench.seen[PRINCIPAL] == "ANONYMOUS"
    assert bench.ask(RAW_URI="/topics")[0] == "401 Unauthorized"


@pytest.mark.parametrize(
    "target",
    [
        "topics/t?://",
        "http:/topics/t?://h/",
        "topics/t?://h/health",
        "http://h/topics/t",
        "*",
        "//",
    ],
)
def test_target_is_skipped_by_the_path_that_is_served_and_no_other(
    tmp_path: Path, target: str
) -> None:
    bench = Bench(tmp_path, "authentication.skip.paths=/,/health")
    assert bench.ask(RAW_URI=target)[0] == "401 Unauthorized"
    for open_target in ("http://h", "http://h?x", "https://h:1/", "HTTP://h/health?a=/topics"):
        assert bench.ask(RAW_URI=open_target)[2] == b"served"


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


def test_client_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "request.rate.max=1", "authentication.skip.paths=/")
    assert bench.ask(HTTP_AUTHORIZATION=GOOD)[2] == b"served"
    status, headers, body = bench.ask(HTTP_AUTHORIZATION=GOOD)
    assert (status, headers["Retry-After"]) == ("429 Too Many Requests", "1")
    assert (body["error_code"], "alice may make 1 a second" in body["message"]) == (429, True)
    # What needs no client, and what another worker relays, is not counted here.
    for _ in range(3):
        assert bench.ask(RAW_URI="/")[2] == b"served"
        assert bench.ask(socket.AF_UNIX, HTTP_X_KAFKA_REST_PRINCIPAL="alice")[2] == b"served"


def known(bench: Bench, again: Any, family: int = socket.AF_INET, **environ: Any) -> Any:
    """What the lane serves further requests by."""
    ticket = SimpleNamespace(around=None)
    bench.ask(family, **{"HTTP_AUTHORIZATION": GOOD, LANE: ticket, **environ})
    return again if ticket.around is None else ticket.around(again)


def test_lane_counts_requests_of_a_known_head(tmp_path: Path) -> None:
    serve = known(Bench(tmp_path, "request.rate.max=3"), lambda body, _environ: body)
    assert [serve(b"1", {}), serve(b"2", {})] == [b"1", b"2"]
    with pytest.raises(TooManyRequests):
        serve(b"3", {})


def test_lane_counts_no_requests_that_are_not_counted_elsewhere(tmp_path: Path) -> None:
    def again(_body: bytes, _environ: Any) -> None:
        """Serves."""

    bench = Bench(tmp_path, "request.rate.max=1", "authentication.skip.paths=/topics/open")
    assert known(bench, again, RAW_URI="/topics/open") is again
    relayed = {"HTTP_X_KAFKA_REST_PRINCIPAL": "alice"}
    assert known(bench, again, socket.AF_UNIX, **relayed) is again


def test_request_that_leaves_the_lane_is_counted_where_it_goes(tmp_path: Path) -> None:
    def fails(_body: bytes, _environ: Any) -> None:
        raise ValueError

    bench = Bench(tmp_path, "request.rate.max=2")
    serve = known(bench, fails)
    for _ in range(5):
        with pytest.raises(ValueError):  # noqa: PT011 - the one above
            serve(b"", {})
    assert bench.ask(HTTP_AUTHORIZATION=GOOD)[2] == b"served"


def test_lane_asks_nothing_of_clients_without_end_or_limit(tmp_path: Path) -> None:
    def again(_body: bytes, _environ: Any) -> None:
        """Serves."""

    assert known(Bench(tmp_path), again) is again
