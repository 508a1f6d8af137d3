"""What is a request's own and not its head's: its id and its trace context, in the lane."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kafka_rest.api.request_ids import GIVEN
from kafka_rest.api.watching import Asked
from kafka_rest.records import WouldBlock
from kafka_rest.server.seats import Known, Ticket
from tests.unit.server.test_lane import HEAD, Answer, Bench, answer_of, at_once

NAMED = b"POST /t HTTP/1.1\r\n%bHost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def ids_of(head: bytes) -> list[bytes]:
    return re.findall(rb"\r\nX-Request-ID: ([^\r]*)(?=\r\n)", head)


def test_answer_has_the_id_of_its_own_request(bench: Bench) -> None:
    bench.know(at_once)
    client, _ = bench.connect()
    given = ["X-Request-ID: a1", "x-request-id:b2", "Tracestate: a=1, b=2", "", "X-REQUEST-ID: c3"]
    found = []
    for line in given:
        client.sendall(NAMED % (line and f"{line}\r\n").encode())
        found.append(ids_of(answer_of(client)[0]))
    assert found == [[b"a1"], [b"b2"], [], [], [b"c3"]]
    assert bench.pool.empty()


@pytest.mark.parametrize("given", ["a b", "a" * 300, '"', "a1\r\nX-Request-ID: a2", ""])
def test_unfit_id_is_replaced(bench: Bench, given: str) -> None:
    bench.know(at_once)
    client, _ = bench.connect()
    client.sendall(NAMED % f"X-Request-ID: {given}\r\n".encode())
    (found,) = ids_of(answer_of(client)[0])
    assert re.fullmatch(b"[0-9a-f]{32}", found)
    assert bench.pool.empty()


def test_error_has_an_id_and_so_has_what_a_watcher_wrote_down(bench: Bench) -> None:
    class Refusal(Answer):
        def then(self, send: Any, asked: Asked) -> None:
            told.append(asked.request_id)
            self.pending.then(lambda body: send("503 Lost", (), body, 503))

    told: list[str] = []
    refusal, plain = Refusal(), Answer()
    for answer in (refusal, plain):
        answer.pending.set(b"x")
    answers = iter([plain, refusal, plain, plain])
    bench.know(lambda _body: next(answers))
    client, _ = bench.connect()
    found = []
    for number in range(4):
        if number == 3:
            bench.answered = lambda asked, *_said: told.append(asked.request_id)
        client.sendall(HEAD % 0)
        found.append([name.decode() for name in ids_of(answer_of(client)[0])])
    assert found == [[], [told[0]], [], [told[1]]]
    assert told[0] != told[1]


def test_request_is_served_with_its_own_fields(bench: Bench) -> None:
    seen: list[Mapping[str, str]] = []

    def serve(body: bytes, environ: Mapping[str, str]) -> Answer:
        seen.append(environ)
        return at_once(body)

    bench.know_all(serve)
    client, _ = bench.connect()
    several = "Tracestate:  a=1 \r\nTracestate: b=2\r\nX-Correlation-ID: c\r\n"
    lines = [f"Traceparent: 1\r\n{several}", ""]
    for line in lines:
        client.sendall(NAMED % line.encode())
        answer_of(client)
    method = {"REQUEST_METHOD": "POST"}
    # gunicorn puts fields that come twice into the environ so.
    varying = {"HTTP_TRACEPARENT": "1", "HTTP_TRACESTATE": "a=1,b=2", "HTTP_X_CORRELATION_ID": "c"}
    assert seen == [method | varying, method]


def test_id_of_a_request_that_the_lane_left_is_no_others(bench: Bench) -> None:
    def refuse(_body: bytes) -> Answer:
        raise WouldBlock

    bench.know(refuse)
    client, _ = bench.connect()
    client.sendall(NAMED % b"X-Request-ID: a1\r\n")
    seat, _ = bench.to_pool()
    assert seat.told_id == ""


@pytest.mark.parametrize("value", [b"\xc3\xa4", b"a" * 513])
def test_head_that_does_not_tell_a_field_of_its_own_is_not_remembered(
    bench: Bench, value: bytes
) -> None:
    head = b"POST /t HTTP/1.1\r\nX-Request-ID: %b\r\nContent-Length: 0\r\n\r\n" % value
    bench.know(at_once, head)
    client, seat = bench.connect()
    client.sendall(head)
    assert bench.to_pool() == (seat, head)


def test_what_is_a_requests_own_is_kept_for_its_answer_alone(bench: Bench) -> None:
    _, seat = bench.connect()
    remembered: list[Known] = []
    ticket = Ticket(seat, b"", (b"", False), False, lambda _key, known: remembered.append(known))
    own = {GIVEN: "a1", "HTTP_TRACEPARENT": "1"}
    ticket.keep(Answer(), lambda _body, _environ: Answer(), {"A": "1", "B": 2, **own})
    assert ticket.environ == {"A": "1", **own}
    assert [known.environ for known in remembered] == [{"A": "1"}]
    assert seat.request_id == "a1"
