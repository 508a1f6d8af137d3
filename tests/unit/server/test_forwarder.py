"""The forwarder: what it relays, what it leaves alone, and what it says when an owner is away."""

import io
import json
import socket
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.api.parking import LANE
from kafka_rest.api.request_ids import GIVEN, request_id
from kafka_rest.api.watching import ERROR_CODE, RELAYED
from kafka_rest.errors import Forbidden, ServiceUnavailable, TooManyRequests
from kafka_rest.metrics import Cells
from kafka_rest.metrics import table as m
from kafka_rest.pinning import owner_peer, owner_slot
from kafka_rest.server.forwarder import Forwarder, Place
from kafka_rest.server.link import Lost, RelayedAnswer, Unreachable

SLOTS = 4
CORS = s.load(None, {}, ["access.control.allow.origin=http://page"])
FROM_PAGE = {"HTTP_ORIGIN": "http://page"}


class FakeOwners:
    """Takes relayed requests."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.handed_over: list[tuple[int, bytes, Any]] = []
        self.fails: Exception | None = None
        self.takes = True
        self.status, self.body = "200 OK", b"relayed"

    def hand_over(self, slot: int, head: bytes, connection: Any) -> bool:
        self.handed_over.append((slot, head, connection))
        return self.takes

    def send(self, slot: int, environ: Any, body: bytes, deadline: Any) -> RelayedAnswer:
        assert deadline.left() > 0
        self.sent.append((slot, body))
        self.environ = environ
        if self.fails is not None:
            raise self.fails
        return RelayedAnswer(self.status, [("X-Slot", str(slot))], self.body)


class FakePeers:
    """Takes requests relayed to other proxies, of which there are so many; this one is the first.

    `SIGNATURE` is the right signature of everything.
    """

    SIGNATURE = "signed"
    own = 0

    def __init__(self, count: int) -> None:
        self.count = count
        self.sent: list[tuple[int, bytes, str]] = []
        self.crossed: list[tuple[int, bytes, bool]] = []

    def require_signed(self, environ: Any, claims: Any) -> None:
        if claims.signature != self.SIGNATURE:
            raise Forbidden

    def disagreement(self, peer: int) -> ServiceUnavailable:
        return ServiceUnavailable(f"HTTP 503: {peer}")

    def send(self, peer: int, environ: Any, body: bytes, deadline: Any) -> RelayedAnswer:
        assert deadline.left() > 0
        self.sent.append((peer, body, environ["REMOTE_ADDR"]))
        return RelayedAnswer("204 No Content", [], b"")

    def cross(
        self, peer: int, environ: Any, body: bytes, deadline: Any, is_read: bool, more: Any
    ) -> str:
        assert deadline.left() > 0
        self.more = more
        self.crossed.append((peer, body, is_read))
        return "crossing"


class FakeTicket:
    """A request whose connection can go, or not."""

    def __init__(self, goes: bool) -> None:
        self._goes = goes
        self.kept: list[Any] = []

    def keep(self, parked: Any, again: Any, environ: Any) -> None:
        self.kept.append((parked, again))

    def hand_over(self, send: Any) -> bool:
        return self._goes and bool(send(b"head", "connection"))


class Bench:
    def __init__(
        self,
        slot: int = 0,
        slots: int = SLOTS,
        polls: int = 2,
        parks: bool = True,
        peers: int = 1,
    ) -> None:
        self.peers: Any = FakePeers(peers)
        self.owners: Any = FakeOwners()
        self.local: list[bytes] = []
        self.seen: dict[str, Any] = {}
        place = Place(slot, slots, 5.0, 100)
        self.cells = Cells()
        self.forwarder = Forwarder(
            self._app, CORS, place, self.owners, self.peers, polls, parks, self.cells
        )

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
            "gunicorn.socket": SimpleNamespace(
                family=family, getsockname=lambda: "/r/slot-0.sock.1"
            ),
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


def test_byte_order_mark_before_a_name_says_nothing_about_its_owner() -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"name": name_of(3)}).encode()
    bench = Bench(slot=0)
    assert bench.call("POST", "/consumers/g", body)[2] == b"relayed"
    assert bench.owners.sent == [(3, body)]


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


def test_error_without_a_body_for_head_and_for_the_page_that_asked() -> None:
    bench = Bench(slot=0)
    bench.owners.fails = Lost("reset")
    uri = f"/consumers/g/instances/{name_of(1)}/records"
    status, headers, content = bench.call("HEAD", uri, **FROM_PAGE)
    assert (status, content) == ("503 Service Unavailable", b"")
    assert int(headers["Content-Length"]) == len(bench.call("GET", uri)[2])
    assert headers["Access-Control-Allow-Origin"] == "http://page"
    assert "Access-Control-Allow-Origin" not in bench.call("GET", uri, HTTP_ORIGIN="http://b")[1]


def test_answer_of_the_owner_has_its_own_headers_alone() -> None:
    uri = f"/consumers/g/instances/{name_of(1)}"
    assert Bench(slot=0).call("GET", uri, **FROM_PAGE)[1] == {"X-Slot": "1"}


def test_error_on_the_way_to_a_peer_is_for_the_page_that_asked() -> None:
    bench = Bench(peers=3)
    bench.run("GET", path_in(2) + "/records", **{LANE: FakeTicket(goes=True)}, **FROM_PAGE)
    assert bench.peers.more["Access-Control-Allow-Origin"] == "http://page"


@pytest.mark.parametrize(
    ("status", "body", "error_code"),
    [
        ("404 Not Found", b'{"error_code":40403,"message":"x"}', 40403),
        ("404 Not Found", b"", 0),
        ("200 OK", b'{"error_code":40403}', None),
    ],
)
def test_error_of_the_owner_is_written_down(
    status: str, body: bytes, error_code: int | None
) -> None:
    bench = Bench()
    bench.owners.status, bench.owners.body = status, body
    bench.call("GET", f"/consumers/g/instances/{name_of(1)}")
    assert bench.owners.environ.get(ERROR_CODE) == error_code


@pytest.mark.parametrize("given", ["r1", "not fit", None])
def test_owner_learns_the_id_of_the_request(given: str | None) -> None:
    bench = Bench()
    more = {} if given is None else {GIVEN: given}
    bench.call("DELETE", f"/consumers/g/instances/{name_of(1)}", **more)
    environ = bench.owners.environ
    assert environ[GIVEN] == request_id(environ)
    assert (environ[GIVEN] == given) == (given == "r1")


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


def name_in(peer: int, slot: int, peers: int = 3) -> str:
    return next(
        n
        for n in map(str, range(1000))
        if owner_peer("g", n, peers) == peer and owner_slot("g", n, SLOTS, peers) == slot
    )


def path_in(peer: int, slot: int = 0) -> str:
    return f"/consumers/g/instances/{name_in(peer, slot)}"


def test_request_goes_to_the_proxy_that_owns_its_instance_and_then_to_the_worker() -> None:
    bench = Bench(peers=3)
    assert bench.call("DELETE", path_in(2, 1))[0].startswith("204")
    body = json.dumps({"name": name_in(1, 0)}).encode()
    assert bench.call("POST", "/consumers/g", body)[0].startswith("204")
    assert bench.peers.sent == [(2, b"", "10.0.0.1"), (1, body, "10.0.0.1")]
    assert bench.call("DELETE", path_in(0, 1))[2] == b"relayed"
    assert bench.owners.sent == [(1, b"")]
    assert bench.call("DELETE", path_in(0, 0))[2] == b"local"
    assert bench.call("POST", "/consumers/g", b"{}")[2] == b"local"
    assert bench.call("GET", "/topics")[2] == b"local"


def test_lone_worker_of_a_cluster_looks_for_names_too() -> None:
    bench = Bench(slots=1, peers=2)
    name = next(n for n in map(str, range(99)) if owner_peer("g", n, 2) == 1)
    body = json.dumps({"name": name}).encode()
    assert bench.call("POST", "/consumers/g", body)[0].startswith("204")
    assert len(bench.peers.sent) == 1


@pytest.mark.parametrize(("suffix", "is_read"), [("/records", True), ("/offsets", False)])
def test_thread_does_not_wait_for_a_peer_where_the_lane_keeps_the_connection(
    suffix: str, is_read: bool
) -> None:
    # What CORS and compression add, the owner has added.
    for parks in (True, False):
        bench, ticket = Bench(peers=3, parks=parks), FakeTicket(goes=True)
        assert bench.run("GET", path_in(2) + suffix, **{LANE: ticket}) == ([], b"")
        assert bench.peers.crossed == [(2, b"", is_read)]
        assert ticket.kept == [("crossing", None)]
        assert bench.owners.handed_over == []


def test_threads_that_wait_for_peers_are_capped_whatever_they_wait_for() -> None:
    bench = Bench(peers=3, polls=1)
    with bench.forwarder.polls.one():
        status, headers, content = bench.call("DELETE", path_in(1))
        assert status.startswith("429 ")
        assert headers["Retry-After"] == "1"
        assert json.loads(content)["error_code"] == TooManyRequests.error_code
        assert bench.call("DELETE", path_in(0))[2] == b"local"
    assert bench.call("DELETE", path_in(1))[0].startswith("204")


FROM_PEER = {
    "HTTP_X_KAFKA_REST_PEER": "9.9.9.9",
    "HTTP_X_KAFKA_REST_SCHEME": "https",
    "HTTP_X_KAFKA_REST_SIGNATURE": FakePeers.SIGNATURE,
}


def test_peer_is_believed_whose_request_it_is_and_nothing_of_that_goes_on() -> None:
    bench = Bench(peers=3)
    assert bench.call("DELETE", path_in(0), **FROM_PEER)[2] == b"local"
    assert bench.seen["REMOTE_ADDR"] == "9.9.9.9"
    assert bench.seen["wsgi.url_scheme"] == "https"
    assert not set(FROM_PEER) & set(bench.seen)
    assert bench.call("DELETE", path_in(0, 2), **FROM_PEER)[2] == b"relayed"


def test_request_of_a_peer_is_never_relayed_to_a_peer() -> None:
    for more in ({}, {LANE: FakeTicket(goes=True)}):
        bench = Bench(peers=3)
        status, _, content = bench.call("GET", path_in(2) + "/records", **FROM_PEER, **more)
        assert status.startswith("503 ")
        assert json.loads(content)["message"] == "HTTP 503: 2"
        assert bench.peers.sent == bench.peers.crossed == []


@pytest.mark.parametrize("uri", [path_in(0), path_in(1), "/topics", "/"])
def test_forged_signature_is_refused(uri: str) -> None:
    bench = Bench(peers=3)
    forged = FROM_PEER | {"HTTP_X_KAFKA_REST_SIGNATURE": "forged"}
    status, _, content = bench.call("GET", uri, **forged)
    assert status.startswith("403 ")
    assert json.loads(content)["error_code"] == 403
    assert bench.local == bench.peers.sent == []


def test_claims_without_a_signature_are_dropped() -> None:
    bench = Bench(peers=3)
    unsigned = {k: v for k, v in FROM_PEER.items() if "SIGNATURE" not in k}
    bench.call("DELETE", path_in(0), **unsigned)
    assert bench.seen["REMOTE_ADDR"] == "10.0.0.1"
    assert "wsgi.url_scheme" not in bench.seen
    assert not set(FROM_PEER) & set(bench.seen)


def counted(bench: Bench) -> dict[tuple[str, str], float]:
    """What has been counted: relays by outcome, and hand-overs."""
    return {
        (found.metric.name.split("_")[2], found.labels[0]): sum(
            found.numbers[: found.metric.width - (found.metric is m.RELAY_SECONDS)]
        )
        for found in bench.cells.series()
        if any(found.numbers)
    }


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(None, "answered"), (Unreachable("refused"), "unreachable"), (Lost("reset"), "lost")],
)
def test_relays_are_counted_by_what_came_of_them(failure: Exception | None, outcome: str) -> None:
    bench = Bench(slot=0)
    bench.owners.fails = failure
    for _ in range(2):
        bench.call("GET", f"/consumers/g/instances/{name_of(1)}")
    bench.call("GET", f"/consumers/g/instances/{name_of(0)}")
    assert counted(bench) == {("relay", outcome): 2}


@pytest.mark.parametrize("failure", [None, Lost("reset")])
def test_owner_counts_a_relayed_request_unless_it_gave_no_answer(failure: Exception | None) -> None:
    bench = Bench(slot=0)
    bench.owners.fails = failure
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"/consumers/g/instances/{name_of(1)}",
        "wsgi.input": io.BytesIO(b""),
    }
    bench.forwarder(environ, lambda *_answer: None)  # type: ignore[arg-type,return-value]
    assert (RELAYED in environ) == (failure is None)


@pytest.mark.parametrize("takes", [True, False])
def test_hand_overs_are_counted(takes: bool) -> None:
    bench = Bench(slot=0)
    bench.owners.takes = takes
    uri = f"/consumers/g/instances/{name_of(1)}/records"
    bench.run("GET", uri, **{LANE: FakeTicket(True)})
    relays = {} if takes else {("relay", "answered"): 1}
    assert counted(bench) == {("hand", "taken" if takes else "refused"): 1, **relays}
