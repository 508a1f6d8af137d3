"""The forwarder: what it relays, what it leaves alone, and what it says when an owner is away."""

import io
import json
import socket
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest.api.parking import LANE
from kafka_rest.pinning import owner_slot
from kafka_rest.server.forwarder import Forwarder, Place
from kafka_rest.server.relay import Lost, RelayedAnswer, Unreachable

SLOTS = 4


class FakeOwners:
    """Takes relayed requests."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.handed_over: list[tuple[int, bytes, Any]] = []
        self.fails: Exception | None = None

    def hand_over(self, slot: int, head: bytes, connection: Any) -> bool:
        self.handed_over.append((slot, head, connection))
        return True

    def send(self, slot: int, environ: Any, body: bytes, deadline: Any) -> RelayedAnswer:
        assert deadline.left() > 0
        self.sent.append((slot, body))
        if self.fails is not None:
            raise self.fails
        return RelayedAnswer("200 OK", [("X-Slot", str(slot))], b"relayed")


class FakeTicket:
    """A request whose connection can go, or not."""

    def __init__(self, goes: bool) -> None:
        self._goes = goes

    def hand_over(self, send: Any) -> bool:
        return self._goes and bool(send(b"head", "connection"))


class Bench:
    def __init__(
        self, slot: int = 0, slots: int = SLOTS, polls: int = 2, parks: bool = True
    ) -> None:
        self.owners: Any = FakeOwners()
        self.local: list[bytes] = []
        self.seen: dict[str, Any] = {}
        place = Place(slot, slots, 5.0, 100)
        self.forwarder = Forwarder(self._app, place, self.owners, polls, parks)

    def _app(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.seen = environ
        self.local.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [b"local"]

    def call(
        self, method: str, uri: str, body: bytes = b"", family: int = socket.AF_INET, **more: Any
    ) -> tuple[str, dict[str, str], bytes]:
        answer, content = self.run(method, uri, body, family, **more)
        return answer[0][0], dict(answer[0][1]), content

    def run(
        self,
        method: str,
        uri: str,
        body: bytes = b"",
        family: int = socket.AF_INET,
        **more: Any,
    ) -> tuple[list[Any], bytes]:
        """What start_response was called with, and the body."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "RAW_URI": uri,
            "PATH_INFO": uri,
            "REMOTE_ADDR": "10.0.0.1",
            "wsgi.input": io.BytesIO(body),
            "gunicorn.socket": SimpleNamespace(family=family),
            **more,
        }
        answer: list[Any] = []
        content = b"".join(self.forwarder(environ, lambda *a: answer.append(a) or (lambda _: None)))
        return answer, content


def name_of(slot: int) -> str:
    return next(n for n in map(str, range(1000)) if owner_slot("g", n, SLOTS) == slot)


@pytest.mark.parametrize("suffix", ["", "/", "/topics/t", "/offsets", "/topics/t?max_bytes=1"])
def test_request_goes_to_the_owner_of_its_instance(suffix: str) -> None:
    for slot in range(SLOTS):
        bench = Bench(slot=0)
        _, _, content = bench.call("GET", f"/consumers/g/instances/{name_of(slot)}{suffix}")
        assert content == (b"local" if slot == 0 else b"relayed")
        assert [s for s, _ in bench.owners.sent] == ([] if slot == 0 else [slot])


@pytest.mark.parametrize(
    "uri",
    [
        "/",
        "/topics",
        "/topics/instances/x",
        "/consumers",
        "/consumers/g/instances",
        "/x/consumers/g",
    ],
)
def test_everything_else_is_answered_here(uri: str) -> None:
    bench = Bench(slot=0)
    assert bench.call("GET", uri)[2] == b"local"


def test_name_is_decoded_before_its_owner_is_sought() -> None:
    slot = owner_slot("a b", "ü", SLOTS)
    bench = Bench(slot=(slot + 1) % SLOTS)
    assert bench.call("DELETE", "/consumers/a%20b/instances/%C3%BC")[2] == b"relayed"
    assert bench.owners.sent == [(slot, b"")]
    assert bench.call("DELETE", "/consumers/%FF/instances/%zz")[0].startswith("200")


@pytest.mark.parametrize("member", ["name", "id"])
def test_create_goes_to_the_owner_of_its_name(member: str) -> None:
    body = json.dumps({member: name_of(3), "format": "json"}).encode()
    bench = Bench(slot=0)
    for path in ("/consumers/g", "/consumers/g/"):
        assert bench.call("POST", path, body)[2] == b"relayed"
    assert bench.owners.sent == [(3, body)] * 2


def test_id_wins_over_name() -> None:
    body = json.dumps({"id": name_of(2), "name": name_of(3)}).encode()
    bench = Bench(slot=0)
    bench.call("POST", "/consumers/g", body)
    assert bench.owners.sent == [(2, body)]


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"{nope", b"[1]", b'{"name":{}}', b"\xff"])
def test_create_without_a_name_stays_and_keeps_its_body(body: bytes) -> None:
    bench = Bench(slot=0)
    assert bench.call("POST", "/consumers/g", body)[2] == b"local"
    assert bench.local == [body]


def test_number_as_a_name_is_its_text() -> None:
    slot = owner_slot("g", "7", SLOTS)
    bench = Bench(slot=(slot + 1) % SLOTS)
    bench.call("POST", "/consumers/g", b'{"name":7}')
    assert bench.owners.sent == [(slot, b'{"name":7}')]


def test_relayed_request_is_never_relayed_again() -> None:
    bench = Bench(slot=0)
    uri = f"/consumers/g/instances/{name_of(1)}"
    assert bench.call("GET", uri, family=socket.AF_UNIX)[2] == b"local"
    assert bench.owners.sent == []


def test_address_of_the_client_is_believed_of_a_worker_only() -> None:
    bench = Bench(slot=0)
    uri = f"/consumers/g/instances/{name_of(0)}"
    bench.call("GET", uri, family=socket.AF_UNIX, HTTP_X_KAFKA_REST_PEER="9.9.9.9")
    assert bench.seen["REMOTE_ADDR"] == "9.9.9.9"
    bench.call("GET", uri, HTTP_X_KAFKA_REST_PEER="9.9.9.9")
    assert bench.seen["REMOTE_ADDR"] == "10.0.0.1"
    assert "HTTP_X_KAFKA_REST_PEER" not in bench.seen


@pytest.mark.parametrize("failure", [Unreachable("refused"), Lost("reset")])
def test_owner_that_is_away_is_503_with_a_hint(failure: Exception) -> None:
    bench = Bench(slot=0)
    bench.owners.fails = failure
    status, headers, content = bench.call("GET", f"/consumers/g/instances/{name_of(1)}")
    assert status.startswith("503 ")
    assert headers["Retry-After"] == "1"
    assert json.loads(content)["error_code"] == 503


def test_body_above_the_limit_is_413_and_not_relayed() -> None:
    bench = Bench(slot=0)
    status, _, content = bench.call(
        "POST", f"/consumers/g/instances/{name_of(1)}/offsets", b"x" * 101
    )
    assert status.startswith("413 ")
    assert json.loads(content)["error_code"] == 413
    assert bench.owners.sent == []


def test_read_that_the_lane_keeps_is_not_capped_here() -> None:
    uri = f"/consumers/g/instances/{name_of(0)}/topics/t"
    lane = {LANE: FakeTicket(goes=False)}
    bench = Bench(polls=1)
    with bench.forwarder.polls.one():
        assert bench.call("GET", uri, **lane)[0].startswith("200")
        elsewhere = f"/consumers/g/instances/{name_of(1)}/topics/t"
        assert bench.call("GET", elsewhere, **lane)[0].startswith("429")
    flask = Bench(polls=1, parks=False)
    with flask.forwarder.polls.one():
        assert flask.call("GET", uri, **lane)[0].startswith("429")


def test_read_takes_its_connection_to_the_owner() -> None:
    path = f"/consumers/g/instances/{name_of(3)}"
    bench, ticket = Bench(), FakeTicket(goes=True)
    assert bench.run("GET", f"{path}/records", **{LANE: ticket}) == ([], b"")
    assert bench.owners.handed_over == [(3, b"head", "connection")]
    assert bench.owners.sent == []
    # Nothing else does: it would not wait there.
    assert bench.call("POST", f"{path}/offsets", **{LANE: ticket})[2] == b"relayed"
    assert bench.call("DELETE", path, **{LANE: ticket})[2] == b"relayed"
    assert len(bench.owners.handed_over) == 1


def test_read_whose_connection_cannot_go_is_relayed() -> None:
    path = f"/consumers/g/instances/{name_of(3)}/records"
    for bench, more in [
        (Bench(), {LANE: FakeTicket(goes=False)}),
        (Bench(parks=False), {LANE: FakeTicket(goes=True)}),
        (Bench(), {}),
    ]:
        assert bench.call("GET", path, **more)[2] == b"relayed"
        assert bench.owners.sent == [(3, b"")]


def test_reads_that_hold_a_thread_are_capped_and_others_are_not() -> None:
    bench = Bench(slot=0, polls=1)
    uri = f"/consumers/g/instances/{name_of(0)}"
    with bench.forwarder.polls.one():
        status, headers, content = bench.call("GET", f"{uri}/topics/t")
        assert status.startswith("429 ")
        assert headers["Retry-After"] == "1"
        assert json.loads(content)["error_code"] == 429
        assert bench.call("POST", f"{uri}/offsets")[0].startswith("200")
        # The other lane has room of its own.
        relayed = bench.call("GET", f"{uri}/topics/t", family=socket.AF_UNIX)
        assert relayed[0].startswith("200")
    assert bench.call("GET", f"{uri}/topics/t")[0].startswith("200")
