"""Peers: what they sign and believe, answers that come without a thread, peers that are away."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from kafka_rest.errors import Forbidden, ServiceUnavailable, TooManyRequests
from kafka_rest.records import Deadline
from kafka_rest.server.link import Unreachable
from kafka_rest.server.peers import (
    AT_ONCE_SECONDS,
    AWAY_SECONDS,
    REFUSED_HEADER,
    Claims,
    Dialler,
    Peers,
)
from kafka_rest.settings import Cluster, Peer
from tests.unit.fakes import FakeClock

OWNERS = (Peer("a", "http://10.0.0.1:8082"), Peer("b", "http://10.0.0.2:8082"))
SECRET = "0123456789abcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Of: b\r\nDate: now\r\nServer: x\r\n\r\n[]"
SECONDS = 10
MORE = {"X-More": "of this proxy"}


class Wire:
    """A peer's end of one connection, whose other end the proxy keeps using."""

    def __init__(self) -> None:
        ours, self.end = socket.socketpair()
        self.connection = http.client.HTTPConnection("peer")
        self.connection.sock = ours
        self.end.settimeout(SECONDS)
        self.dialled = 0
        self.refuses = False

    def dial(self, _deadline: Deadline) -> http.client.HTTPConnection:
        if self.refuses:
            raise Unreachable("refused")
        self.dialled += 1
        return self.connection

    def request(self) -> tuple[str, dict[str, str]]:
        """The request line and headers that have come."""
        lines = self.end.recv(65536).decode().partition("\r\n\r\n")[0].split("\r\n")
        return lines[0], dict(line.split(": ", 1) for line in lines[1:])

    def close(self) -> None:
        self.end.close()
        self.connection.close()


class Bench:
    """Proxy `a` of a cluster, whose peer `b` is at the wire's end."""

    def __init__(self, most: int = 5) -> None:
        self.wire, self.draining = Wire(), threading.Event()
        self.a = self.peers(0, most)

    def peers(self, own: int, most: int = 5, secret: str = SECRET) -> Peers:
        return Peers(Cluster(OWNERS, own, secret), most, self.draining, lambda _: self.wire.dial)

    def cross(self, is_read: bool = True, seconds: float = SECONDS) -> "Answer":
        crossing = self.a.cross(1, environ(), b"", Deadline(seconds), is_read, MORE)
        answer, asked = Answer(crossing), cast(Any, None)
        crossing.then(answer.send, asked)
        return answer

    def close(self) -> None:
        self.a.close()
        self.wire.close()


class Answer:
    """Where the lane would send the answer of a crossing."""

    def __init__(self, crossing: Any) -> None:
        self.crossing, self._sent = crossing, threading.Event()
        self.count = 0

    def send(self, status: str, headers: Any, body: bytes, _error_code: int) -> None:
        self._status, self._headers, self._body = status, headers, body
        self.count += 1
        self._sent.set()

    def wait(self) -> tuple[str, dict[str, str], bytes]:
        assert self._sent.wait(SECONDS)
        return self._status, dict(self._headers), self._body


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(getattr(request, "param", 5))
    yield made
    made.close()


def environ(method: str = "GET", uri: str = "/consumers/g/instances/ü/records") -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "RAW_URI": uri,
        "REMOTE_ADDR": "10.9.9.9",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "public:80",
        "HTTP_X_FORWARDED_HOST": "outside",
    }


def arrived(line: str, headers: dict[str, str]) -> tuple[dict[str, Any], Claims]:
    """A relayed request as the peer that gets it sees it."""
    method, uri, _ = line.split(" ")
    claims = Claims(
        headers["X-Kafka-Rest-Peer"],
        headers["X-Kafka-Rest-Scheme"],
        headers["X-Kafka-Rest-Signature"],
    )
    return {"REQUEST_METHOD": method, "RAW_URI": uri}, claims


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_peer_believes_what_it_is_sent_and_nothing_else(bench: Bench, method: str) -> None:
    bench.wire.end.sendall(OK)
    answer = bench.a.send(1, environ(method), b"", Deadline(SECONDS))
    assert (answer.status, answer.body) == ("200 OK", b"[]")
    line, headers = bench.wire.request()
    assert (headers["Host"], headers["X-Forwarded-Host"]) == ("public:80", "outside")
    assert SECRET not in str(headers)
    b = bench.peers(1)
    seen, claims = arrived(line, headers)
    assert claims[:2] == ("10.9.9.9", "https")
    b.require_signed(seen, claims)
    for forged, claimed in [
        (seen, claims._replace(address="127.0.0.1")),
        (seen, claims._replace(scheme="http")),
        (seen, claims._replace(signature="")),
        (seen, claims._replace(signature="\xff")),
        (seen | {"REQUEST_METHOD": "HEAD"}, claims),
        (seen | {"RAW_URI": "/consumers/g/instances/other"}, claims),
    ]:
        with pytest.raises(Forbidden, match=r"not signed with cluster\.secret"):
            b.require_signed(forged, claimed)
    with pytest.raises(Forbidden):
        bench.peers(1, secret=SECRET.upper()).require_signed(seen, claims)


def test_proxy_without_peers_says_so() -> None:
    alone = Peers(Cluster((), 0, ""), 1, threading.Event())
    assert (alone.own, alone.count) == (0, 1)
    with pytest.raises(Forbidden, match=r"cluster\.peers is not set here"):
        alone.require_signed(environ(), Claims("", "", "x"))
    alone.close()


def test_answer_is_passed_on_when_it_comes_and_the_connection_serves_again(bench: Bench) -> None:
    for _ in range(2):
        answer = bench.cross()
        bench.wire.request()
        bench.wire.end.sendall(OK)
        assert answer.wait() == ("200 OK", {"X-Of": "b"}, b"[]")
    assert bench.wire.dialled == 1


def test_read_whose_client_has_gone_is_ended_at_its_owner(bench: Bench) -> None:
    answer = bench.cross()
    bench.wire.request()
    answer.crossing.abandon()
    assert bench.wire.end.recv(1) == b""
    # What the owner says then is still heard.
    bench.wire.end.sendall(OK)
    assert answer.wait()[2] == b"[]"
    # Half of it is closed: it is not kept for others.
    assert bench.wire.connection.sock is None


def test_read_that_ends_late_is_left_alone(bench: Bench) -> None:
    answer = bench.cross()
    bench.wire.request()
    bench.wire.end.sendall(OK)
    answer.wait()
    # The connection may be another request's by now.
    answer.crossing.abandon()
    answer.crossing.expire()
    assert bench.cross().count == 0
    assert bench.wire.request()[0].startswith("GET ")
    assert bench.wire.dialled == 1


def test_reads_are_ended_when_the_server_stops_and_others_are_not(bench: Bench) -> None:
    answer = bench.cross(is_read=False)
    assert answer.crossing.abandon is None
    bench.wire.request()
    bench.draining.set()
    bench.wire.end.sendall(OK)
    assert answer.wait()[2] == b"[]"
    read = bench.cross()
    bench.wire.request()
    assert bench.wire.end.recv(1) == b""
    bench.wire.end.sendall(OK)
    assert read.wait()[2] == b"[]"


def test_answer_that_is_late_is_503_once(bench: Bench) -> None:
    answer = bench.cross()
    bench.wire.request()
    answer.crossing.expire()
    status, headers, body = answer.wait()
    assert status == "503 Service Unavailable"
    assert headers["Retry-After"] == "1"
    assert headers["X-More"] == MORE["X-More"]
    assert "the proxy b did not answer in time" in json.loads(body)["message"]
    # The owner learns it, and what it says is for nobody.
    assert bench.wire.end.recv(1) == b""
    answer.crossing.expire()
    bench.a.close()
    assert answer.count == 1


def test_peer_that_ends_in_between_is_named(bench: Bench) -> None:
    answer = bench.cross()
    bench.wire.request()
    bench.wire.end.close()
    status, headers, body = answer.wait()
    assert status == "503 Service Unavailable"
    assert headers["X-More"] == MORE["X-More"]
    assert "the proxy b, which owns this consumer, ended" in json.loads(body)["message"]


def begun(bench: Bench) -> Iterator[Callable[[], Any]]:
    yield lambda: bench.a.send(1, environ(), b"", Deadline(SECONDS))
    yield lambda: bench.a.cross(1, environ(), b"", Deadline(SECONDS), True, MORE)


def test_peer_that_is_away_is_named(bench: Bench) -> None:
    bench.wire.refuses = True
    for begin in begun(bench):
        with pytest.raises(ServiceUnavailable, match="the proxy b, which owns") as away:
            begin()
        assert away.value.headers == {"Retry-After": "1"}
        assert "cannot be reached" in away.value.text


def test_refusal_of_a_peer_is_no_fault_of_the_client(bench: Bench) -> None:
    refused = f"HTTP/1.1 403 Forbidden\r\n{REFUSED_HEADER}: signature\r\nContent-Length: 0\r\n\r\n"
    bench.wire.end.sendall(refused.encode())
    with pytest.raises(ServiceUnavailable, match=r"their cluster\.secret differs"):
        bench.a.send(1, environ(), b"", Deadline(SECONDS))
    # One of the owner's own, to the client, stays one.
    answer = bench.cross()
    bench.wire.end.sendall(refused.replace(REFUSED_HEADER, "X-Other").encode())
    assert answer.wait()[:2] == ("403 Forbidden", {"X-Other": "signature"})


def test_disagreement_names_both(bench: Bench) -> None:
    assert "was sent to a as its owner, by whose list b is" in bench.a.disagreement(1).text


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_requests_under_way_are_bounded(bench: Bench) -> None:
    answer = bench.cross()
    with pytest.raises(TooManyRequests, match=r"consumer\.long\.polls\.max"):
        bench.cross()
    bench.wire.request()
    bench.wire.end.sendall(OK)
    answer.wait()
    bench.cross()


def test_peer_that_does_not_answer_is_not_tried_by_everybody() -> None:
    clock = FakeClock()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as waiting:
        address = listener.getsockname()
        # One that nobody accepts fills the queue, and whoever comes then hears nothing.
        waiting.enter_context(socket.create_connection(address))
        dial = Dialler(f"http://127.0.0.1:{address[1]}", clock)
        with pytest.raises(Unreachable):
            dial(Deadline(0.1))
        waiting.enter_context(listener.accept()[0])
        with pytest.raises(Unreachable):
            dial(Deadline(SECONDS))
        clock.advance(AWAY_SECONDS)
        for _ in range(2):
            dial(Deadline(SECONDS)).close()
            listener.accept()[0].close()


def test_peer_that_refuses_is_found_as_soon_as_it_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    dial = Dialler(f"http://127.0.0.1:{address[1]}", FakeClock())
    for _ in range(2):
        with pytest.raises(Unreachable, match="refused"):
            dial(Deadline(SECONDS))
    with socket.create_server(address):
        dial(Deadline(SECONDS)).close()


class SlowClock(FakeClock):
    """Whatever is done between two looks at it takes longer than at once."""

    def __call__(self) -> float:
        self.advance(AT_ONCE_SECONDS * 2)
        return super().__call__()


def test_peer_that_takes_its_time_to_refuse_is_not_tried_by_everybody() -> None:
    clock = SlowClock()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    dial = Dialler(f"http://127.0.0.1:{address[1]}", clock)
    with pytest.raises(Unreachable, match="refused"):
        dial(Deadline(SECONDS))
    with socket.create_server(address):
        with pytest.raises(Unreachable, match="refused"):
            dial(Deadline(SECONDS))
        clock.advance(AWAY_SECONDS)
        dial(Deadline(SECONDS)).close()
