"""The lane on socket pairs: what it serves itself, what it leaves to gunicorn, what it ends."""

import gc
import queue
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from kafka_rest.api.parking import Again
from kafka_rest.api.watching import Asked, Watcher
from kafka_rest.core.pending import Pending
from kafka_rest.records import Deadline
from kafka_rest.server.framing import Parser
from kafka_rest.server.lane import HEADS, Lane, split
from kafka_rest.server.seats import Known, Seat, Ticket
from kafka_rest.server.worker import Worker

HEAD = b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
KEEPALIVE_SECONDS = 3.0


class Answer:
    """An answer that the test gives, as the lane keeps it."""

    def __init__(self, seconds: float = 5.0) -> None:
        self.pending: Pending[bytes] = Pending(Deadline(seconds))
        self.deadline = self.pending.deadline

    abandon: Any = None

    def then(self, send: Any, _asked: Asked) -> None:
        self.pending.then(lambda body: send("200 OK", (("Content-Type", "a/b"),), body, 0))

    def expire(self) -> None:
        self.pending.set(b"late")


class Abandonable(Answer):
    """One that ends with nothing where its client has gone."""

    def abandon(self) -> None:
        self.pending.set(b"")


class Connection:
    """gunicorn's, as far as the lane knows it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.client = sock, ("192.0.2.1", 1)
        self.parser = Parser(SimpleNamespace(), sock, self.client)
        self.seat: Seat


class Bench:
    """A lane whose pool is a queue that the test reads."""

    def __init__(self) -> None:
        self.cfg = SimpleNamespace(keepalive=KEEPALIVE_SECONDS)
        self.alive, self.max_keepalived, self.plain = True, 100, True
        self.pool: queue.Queue[Any] = queue.Queue()
        self.told: list[tuple[Any, ...]] = []
        self.answered: Watcher | None = self.tell
        self.clients: list[socket.socket] = []
        self.lane = Lane(self)
        self.lane.start()

    def enqueue_req(self, conn: Any) -> None:
        self.pool.put(conn)

    def tell(self, asked: Asked, *said: Any) -> None:
        """A watcher; what it keeps holds no seat."""
        self.told.append((asked.environ.get("REQUEST_METHOD"), asked.peer, *said))

    def connect(self, watched: bool = True) -> tuple[socket.socket, Seat]:
        """A client, and its seat."""
        client, server = socket.socketpair()
        client.settimeout(5)
        self.clients += [client, server]
        conn = Connection(server)
        conn.seat = Seat(conn)
        if watched:
            self.lane.watch(conn.seat)
        return client, conn.seat

    def arrive(self, head: bytes) -> tuple[socket.socket, Seat]:
        """A client whose connection another worker has sent, and its seat."""
        client, seat = self.connect(watched=False)
        self.lane.adopt(seat, head)
        return client, seat

    def know(self, serve: Callable[[bytes], Any], head: bytes = HEAD % 3) -> None:
        self.know_all(lambda body, _environ: serve(body), head)

    def know_all(self, serve: Again, head: bytes = HEAD % 3) -> None:
        """As `know`; what serves gets the request's environ too."""
        self.lane.remember(split(head)[0], Known(serve, {"REQUEST_METHOD": "POST"}))

    def close(self) -> None:
        """Stop the lane and close the connections."""
        self.lane.close()
        for client in self.clients:
            client.close()

    def to_pool(self) -> tuple[Seat, bytes]:
        """The seat that reaches the pool next, and the bytes that its parser has."""
        conn = self.pool.get(timeout=5)
        return conn.seat, conn.parser.unreader.buf.getvalue()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def more_of(client: socket.socket) -> bytes:
    """Some bytes that the client has been sent; there is to be one at least."""
    data = client.recv(4096)
    assert data, "the connection was closed before the answer"
    return data


def answer_of(client: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += more_of(client)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.rpartition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += more_of(client)
    assert len(body) == length
    return head, body


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def at_once(body: bytes) -> Answer:
    answer = Answer()
    answer.pending.set(b"<" + body + b">")
    return answer


def test_unknown_head_goes_to_the_pool_with_its_bytes(bench: Bench) -> None:
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool() == (seat, HEAD % 3 + b"abc")
    assert seat.head == HEAD % 3


def test_known_head_is_served_whatever_its_length_and_trace_id(bench: Bench) -> None:
    bench.know(at_once)
    client, _ = bench.connect()
    for body in (b"abc", b"", b"x" * 1000):
        client.sendall(HEAD % len(body) + body)
        head, found = answer_of(client)
        assert found == b"<" + body + b">"
        assert head.startswith(b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: ")
        assert b"\r\nConnection: keep-alive\r\nContent-Type: a/b\r\nContent-Length: " in head
    bench.know(at_once, b"POST /t HTTP/1.1\r\nTraceparent: 1\r\nContent-Length: 3\r\n\r\n")
    client.sendall(b"POST /t HTTP/1.1\r\nTraceparent: other\r\nContent-Length: 3\r\n\r\nabc")
    assert answer_of(client)[1] == b"<abc>"
    assert bench.pool.empty()


@pytest.mark.parametrize(
    "head",
    [
        b"POST /u HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length:  3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /t HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n",
        b"\r\nPOST /t HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nTraceparent\r\nContent-Length: 3\r\n\r\n",
        b"POST /t HTTP/1.1\r\nHost: x\r\nTraceparent: \x80\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_head_that_differs_is_gunicorns(bench: Bench, head: bytes) -> None:
    bench.know(at_once)
    client, _ = bench.connect()
    client.sendall(head + b"abc")
    assert bench.to_pool()[1] == head + b"abc"


def test_request_in_pieces_holds_no_thread(bench: Bench) -> None:
    bench.know(at_once)
    client, _ = bench.connect()
    whole = HEAD % 3 + b"abc"
    for cut in range(1, len(whole)):
        client.sendall(whole[:cut])
        time.sleep(0.001)
        client.sendall(whole[cut:])
        assert answer_of(client)[1] == b"<abc>"
    assert bench.pool.empty()


@pytest.mark.parametrize("start", [b"\x16\x03\x01\r\n", b"BOGUS\r\n", b"x" * 9000])
def test_start_that_no_head_has_does_not_wait_for_the_rest(bench: Bench, start: bytes) -> None:
    client, _ = bench.connect()
    client.sendall(start)
    assert bench.to_pool()[1] == start


def test_parked_request_is_answered_by_whoever_completes_it(bench: Bench) -> None:
    answers: list[Answer] = []

    def serve(_body: bytes) -> Answer:
        answers.append(Answer())
        return answers[-1]

    bench.know(serve)
    others = [bench.connect()[0] for _ in range(3)]
    for client in others:
        client.sendall(HEAD % 3 + b"abc")
    wait_until(lambda: len(answers) == 3)
    for number, answer in enumerate(answers):
        answer.pending.set(b"%d" % number)
    assert {answer_of(client)[1] for client in others} == {b"0", b"1", b"2"}
    assert bench.told[0] == ("POST", "192.0.2.1", "200 OK", 1, 0)


def test_answer_that_does_not_come_is_brought_about_at_its_deadline(bench: Bench) -> None:
    bench.know(lambda _body: Answer(seconds=0.05))
    client, _ = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    assert answer_of(client)[1] == b"late"


@pytest.mark.parametrize("how", [socket.SHUT_WR, None])
def test_answer_is_abandoned_when_its_client_has_gone(bench: Bench, how: int | None) -> None:
    answers = [Abandonable()]
    bench.know(lambda _body: answers[0])
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    wait_until(lambda: seat.parked is not None)
    assert not bench.told
    if how is None:
        client.close()
    else:
        client.shutdown(how)
        assert answer_of(client)[1] == b""
    assert bench.to_pool() == (seat, b"")
    assert seat.ended
    assert bench.pool.empty()


def test_answer_that_is_not_abandoned_is_given_to_a_client_that_says_no_more(bench: Bench) -> None:
    answer = Answer()
    bench.know(lambda _body: answer)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    client.shutdown(socket.SHUT_WR)
    wait_until(lambda: seat.parked is not None)
    answer.pending.set(b"done")
    assert answer_of(client)[1] == b"done"


def test_refusal_sends_the_same_bytes_the_ordinary_way(bench: Bench) -> None:
    def refuse(_body: bytes) -> Answer:
        raise ValueError

    bench.know(refuse)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc" + HEAD % 1)
    assert bench.to_pool() == (seat, HEAD % 3 + b"abc" + HEAD % 1)
    assert seat.head == HEAD % 3


def test_pipelined_requests_go_to_the_pool_after_the_first(bench: Bench) -> None:
    bench.know(at_once)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc" + HEAD % 1 + b"d")
    assert answer_of(client)[1] == b"<abc>"
    assert bench.to_pool() == (seat, HEAD % 1 + b"d")


@pytest.mark.parametrize("length", [3, 3_000_000])
def test_pipelined_request_has_no_deadline_of_the_answer_before(bench: Bench, length: int) -> None:
    def serve(_body: bytes) -> Answer:
        answer = Answer(seconds=0)
        answer.pending.set(b"x" * length)
        return answer

    bench.know(serve)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc" + HEAD % 1 + b"d")
    assert len(answer_of(client)[1]) == length
    assert bench.to_pool() == (seat, HEAD % 1 + b"d")
    # Its thread takes longer than any answer before it might have.
    bench.lane._sweep(time.monotonic() + 3600)
    assert not seat.ended
    assert bench.pool.empty()


def test_request_in_pieces_is_forgotten_when_the_pool_has_the_next(bench: Bench) -> None:
    bench.know(at_once)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"ab")
    wait_until(lambda: seat.data != b"")
    client.sendall(b"c" + HEAD % 1 + b"d")
    assert answer_of(client)[1] == b"<abc>"
    assert bench.to_pool() == (seat, HEAD % 1 + b"d")
    assert seat.data == b""


def test_client_that_does_not_read_is_waited_for_and_gets_all(bench: Bench) -> None:
    big = b"x" * 3_000_000

    def serve(_body: bytes) -> Answer:
        answer = Answer()
        answer.pending.set(big)
        return answer

    bench.know(serve)
    client, _ = bench.connect()
    other, _ = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    bench.know(at_once, HEAD.replace(b"/t", b"/other") % 3)
    other.sendall(HEAD.replace(b"/t", b"/other") % 3 + b"abc")
    assert answer_of(other)[1] == b"<abc>"
    assert answer_of(client)[1] == big
    client.sendall(HEAD % 3 + b"abc")
    assert answer_of(client)[1] == big


def test_connection_that_arrives_is_kept_like_one_that_was_accepted(bench: Bench) -> None:
    client, seat = bench.arrive(HEAD % 3)
    assert seat.conn.parser.unreader.read() == HEAD % 3
    assert (seat.head, seat.arrived) == (HEAD % 3, True)
    big, late = Answer(), Answer(seconds=0.05)
    bench.lane.park(seat, big, {}, time.monotonic())
    big.pending.set(b"x" * 3_000_000)
    assert len(answer_of(client)[1]) == 3_000_000
    bench.know(lambda _body: late)
    client.sendall(HEAD % 3 + b"abc")
    assert answer_of(client)[1] == b"late"


def test_answer_of_a_connection_that_arrived_is_brought_about_too(bench: Bench) -> None:
    client, seat = bench.arrive(HEAD % 3)
    bench.lane.park(seat, Answer(seconds=0.05), {}, time.monotonic())
    assert answer_of(client)[1] == b"late"


def test_time_that_a_request_took_before_it_was_parked_is_not_taken_off(bench: Bench) -> None:
    client, seat = bench.arrive(HEAD % 3)
    answer = Answer(seconds=60)
    bench.lane.park(seat, answer, {}, started=time.monotonic() - 100)
    assert seat.deadline is not None
    assert seat.deadline > time.monotonic()
    answer.pending.set(b"in time")
    assert answer_of(client)[1] == b"in time"


def test_connection_that_was_given_away_is_none_of_the_lane_any_more(bench: Bench) -> None:
    bench.know(at_once)
    client, seat = bench.connect()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert bench.to_pool()[0] is seat
    with seat.sock.dup() as elsewhere:
        bench.lane.release(seat)
        seat.sock.close()
        # The next one most likely has the same number.
        other, _ = bench.connect()
        client.sendall(HEAD % 3 + b"abc")
        other.sendall(HEAD % 3 + b"def")
        assert answer_of(other)[1] == b"<def>"
        assert elsewhere.recv(1000) == HEAD % 3 + b"abc"
        assert bench.pool.empty()


def test_ticket_gives_a_connection_away_once_and_with_all_that_came(bench: Bench) -> None:
    sent: list[tuple[bytes, Any]] = []

    def send(head: bytes, connection: socket.socket) -> bool:
        sent.append((head, connection))
        return True

    def ticket(movable: bool = True) -> Ticket:
        return Ticket(seat, HEAD % 0, (b"head", True), movable, bench.lane.remember)

    _, seat = bench.connect()
    refused = ticket()
    assert not refused.hand_over(lambda _head, _connection: False)
    assert not refused.moved
    assert not ticket(movable=False).hand_over(send)
    assert ticket().hand_over(send)
    seat.conn.parser.unreader.unread(b"GET /pipelined")
    assert not ticket().hand_over(send)
    assert sent == [(HEAD % 0, seat.sock)]


def test_connection_that_its_client_closes_goes_to_the_pool_to_be_closed(bench: Bench) -> None:
    client, seat = bench.connect()
    client.close()
    assert bench.to_pool() == (seat, b"")
    assert seat.ended


def test_idle_connection_ends_and_one_whose_head_is_half_sent_too(bench: Bench) -> None:
    bench.cfg.keepalive = 0.05
    _, idle = bench.connect()
    assert bench.to_pool()[0] is idle
    assert idle.ended


def test_connection_that_has_ended_is_neither_read_nor_ended_again(bench: Bench) -> None:
    served: list[bytes] = []

    def serve(body: bytes) -> Answer:
        served.append(body)
        return at_once(body)

    bench.know(serve)
    bench.cfg.keepalive = 0.05
    client, seat = bench.connect()
    assert bench.to_pool()[0] is seat
    assert not seat.lingers
    # It waits for a thread that closes it; what comes meanwhile is not executed.
    client.sendall(HEAD % 3 + b"abc")
    assert client.recv(1) == b""
    time.sleep(0.7)
    assert not served
    assert bench.pool.empty()
    bench.lane.watch(seat)
    bench.lane._end(seat)
    seat.conn.parser.unreader.unread(b"the next request")
    bench.lane.watch(seat)
    assert bench.pool.empty()


def test_stopping_worker_closes_with_the_answer(bench: Bench) -> None:
    bench.know(at_once)
    client, seat = bench.connect()
    bench.alive = False
    client.sendall(HEAD % 3 + b"abc")
    head, _ = answer_of(client)
    assert b"\r\nConnection: close\r\n" in head
    assert bench.to_pool()[0] is seat
    assert seat.ended


def test_stopping_worker_keeps_parked_requests_and_ends_idle_ones(bench: Bench) -> None:
    answer = Answer()
    bench.know(lambda _body: answer)
    client, parked = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    _, idle = bench.connect()
    wait_until(lambda: parked.parked is not None)
    bench.alive = False
    assert bench.to_pool()[0] is idle
    answer.pending.set(b"done")
    assert answer_of(client)[1] == b"done"


def test_heads_are_bounded_oldest_first(bench: Bench) -> None:
    for number in range(HEADS + 1):
        bench.know(at_once, b"POST /%d HTTP/1.1\r\n\r\n" % number)
    client, _ = bench.connect()
    client.sendall(b"POST /1 HTTP/1.1\r\n\r\n")
    assert answer_of(client)[1] == b"<>"
    client.sendall(b"POST /0 HTTP/1.1\r\n\r\n")
    assert bench.to_pool()[1] == b"POST /0 HTTP/1.1\r\n\r\n"


def assert_serves(bench: Bench) -> None:
    """The lane goes on: another connection is answered."""
    bench.know(at_once)
    other, _ = bench.connect()
    other.sendall(HEAD % 3 + b"abc")
    assert answer_of(other)[1] == b"<abc>"


def test_answer_that_cannot_be_sent_ends_its_connection_alone(bench: Bench) -> None:
    class Broken(Answer):
        def then(self, send: Any, _asked: Asked) -> None:
            self.pending.then(lambda body: send("200 OK", (("X", "a\r\nb"),), body, 0))

    def serve(_body: bytes) -> Answer:
        answer = Broken()
        answer.pending.set(b"")
        return answer

    bench.know(serve)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool()[0] is seat
    assert seat.ended
    assert_serves(bench)


@pytest.mark.parametrize("hasten", ["expire", "abandon"])
def test_lane_outlives_an_answer_that_fails_to_be_brought_about(bench: Bench, hasten: str) -> None:
    def fail() -> None:
        raise ValueError

    answer: Any = Answer(seconds=0.05 if hasten == "expire" else 5.0)
    setattr(answer, hasten, fail)
    bench.know(lambda _body: answer)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    wait_until(lambda: seat.parked is not None or seat.ended)
    if hasten == "abandon":
        client.shutdown(socket.SHUT_WR)
    assert bench.to_pool()[0] is seat
    assert seat.ended
    assert_serves(bench)


def test_lane_outlives_a_connection_that_the_pool_does_not_take(bench: Bench) -> None:
    refused: queue.Queue[Any] = queue.Queue()
    take = bench.enqueue_req

    def refuse(conn: Any) -> None:
        refused.put(conn)
        raise RuntimeError

    bench.enqueue_req = refuse  # type: ignore[method-assign]
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    # To be served, and then to be closed.
    assert [refused.get(timeout=5) for _ in range(2)] == [seat.conn] * 2
    assert client.recv(1) == b""
    bench.enqueue_req = take  # type: ignore[method-assign]
    other, other_seat = bench.connect()
    other.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool() == (other_seat, HEAD % 3 + b"abc")


def test_closed_connection_is_free_without_the_collector(bench: Bench) -> None:
    bench.know(at_once)
    gc.collect()
    gc.disable()
    try:
        client, seat = bench.connect()
        client.sendall(HEAD % 3 + b"abc")
        assert answer_of(client)[1] == b"<abc>"
        client.close()
        conn = bench.pool.get(timeout=5)
        held = weakref.ref(conn)
        worker: Any = bench
        Worker.close(worker, conn)
        del conn, seat
        # The lane's thread knows the last connection that it has served.
        client, _ = bench.connect()
        client.sendall(HEAD % 3 + b"abc")
        wait_until(lambda: held() is None)
    finally:
        gc.enable()


def parsed(bench: Bench, seat: Seat) -> Ticket:
    """The leave to keep a request that has reached the pool."""
    seat.conn.parser.cfg = Config()
    ticket = bench.lane.ticket(seat, next(seat.conn.parser))
    assert ticket is not None
    return ticket


def test_head_is_served_for_as_long_as_its_check_lets_it(bench: Bench) -> None:
    holds = [True]

    def around(again: Any) -> Any:
        def serve(body: bytes, environ: Any) -> Any:
            if not holds:
                raise ValueError
            return again(body, environ)

        return serve

    first, first_seat = bench.connect()
    first.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool()[0] is first_seat
    ticket = parsed(bench, first_seat)
    ticket.around = around
    ticket.keep(Answer(), lambda body, _environ: at_once(body), {})
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    assert answer_of(client)[1] == b"<abc>"
    holds.clear()
    client.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool() == (seat, HEAD % 3 + b"abc")


def test_heads_are_forgotten_at_once_and_for_requests_under_way(bench: Bench) -> None:
    bench.know(at_once)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    assert answer_of(client)[1] == b"<abc>"
    bench.lane.forget_all()
    client.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool() == (seat, HEAD % 3 + b"abc")
    # It is let in by what held so far, and that changes before its head is remembered.
    ticket = parsed(bench, seat)
    bench.lane.forget_all()
    ticket.keep(Answer(), lambda body, _environ: at_once(body), {})
    other, next_seat = bench.connect()
    other.sendall(HEAD % 3 + b"abc")
    assert bench.to_pool() == (next_seat, HEAD % 3 + b"abc")
    parsed(bench, next_seat).keep(Answer(), lambda body, _environ: at_once(body), {})
    third, _ = bench.connect()
    third.sendall(HEAD % 3 + b"abc")
    assert answer_of(third)[1] == b"<abc>"


def test_what_serving_puts_off_is_settled_after_the_round(bench: Bench) -> None:
    order: queue.Queue[str] = queue.Queue()
    bench.lane.settle = lambda: order.put("settled")
    answers: list[Answer] = []

    def serve(body: bytes) -> Answer:
        order.put(body.decode())
        answers.append(Answer())
        return answers[-1]

    bench.know(serve)
    client, seat = bench.connect()
    client.sendall(HEAD % 3 + b"abc")
    while order.get(timeout=5) != "abc":
        # The lane had been looking around.
        pass
    assert order.get(timeout=5) == "settled"
    # A thread of the pool that finds a known head serves it, and settles.
    client, seat = bench.connect(watched=False)
    client.sendall(HEAD % 3 + b"def")
    assert bench.lane.take(seat)
    heard = list(order.queue)
    assert "settled" in heard[heard.index("def") :]
