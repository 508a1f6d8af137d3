"""W3C Trace Context from a request to its records."""

from typing import Any

import pytest

from kafka_rest.api.tracing import trace_headers, traced
from kafka_rest.core.produce import JsonRecords
from kafka_rest.records import Headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
CARRIED: Headers = [("traceparent", PARENT.encode())]


def environ(parent: str = PARENT, state: str | None = None) -> dict[str, Any]:
    more = {} if state is None else {"HTTP_TRACESTATE": state}
    return {"HTTP_TRACEPARENT": parent, **more}


@pytest.mark.parametrize(
    "parent",
    [PARENT, f"00-{TRACE}-{SPAN}-ff", f"01-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01-more"],
)
def test_valid_traceparent_is_carried(parent: str) -> None:
    assert trace_headers(environ(parent)) == [("traceparent", parent.encode())]


@pytest.mark.parametrize(
    "parent",
    [
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"cc-{TRACE}-{SPAN}-01more",
        f"cc-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"0-{TRACE}-{SPAN}-01",
        f" {PARENT}",
        f"{PARENT},{PARENT}",
        "00-1-2-01",
    ],
)
def test_invalid_traceparent_is_dropped_with_its_state(parent: str) -> None:
    assert trace_headers(environ(parent, "a=1")) == []


def test_state_without_a_parent_is_dropped() -> None:
    assert trace_headers({"HTTP_TRACESTATE": "a=1"}) == []
    assert trace_headers({}) == []


@pytest.mark.parametrize(
    "state",
    [
        "rojo=00f067aa0ba902b7",
        "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
        "congo=t61rcWkgMzE , ,\trojo=1",
        "tenant@system=a b",
        "0t@s=1",
        "a*/_-=!",
        ",".join(f"k{n}=1" for n in range(32)),
    ],
)
def test_valid_state_is_carried_as_it_came(state: str) -> None:
    assert trace_headers(environ(state=state)) == [*CARRIED, ("tracestate", state.encode())]


@pytest.mark.parametrize(
    "state",
    [
        "",
        ",",
        "a",
        "a=",
        "A=1",
        "a=1,a=2",
        "a=1=2",
        "a=1\x7f",
        "a@b@c=1",
        "0a=1",
        "a= ,",
        "a=1,b",
        f"a={'x' * 257}",
        f"a={'x' * 200},b={'x' * 200},c={'x' * 200}",
        ",".join(f"k{n}=1" for n in range(33)),
    ],
)
def test_invalid_state_is_dropped_alone(state: str) -> None:
    assert trace_headers(environ(state=state)) == CARRIED


def records(headers: list[Headers | None] | None) -> JsonRecords:
    return JsonRecords([None] * 2, [b"1"] * 2, [None] * 2, headers)


def test_every_record_gets_the_trace() -> None:
    assert traced(records(None), CARRIED).headers == [CARRIED, CARRIED]
    assert traced(records(None), []).headers is None


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "tracestate"])
def test_record_that_names_a_trace_keeps_its_own(name: str) -> None:
    own: Headers = [("a", b"1"), (name, None)]
    given = records([own, [("a", b"1")]])
    assert traced(given, CARRIED).headers == [own, [("a", b"1"), *CARRIED]]
    assert own == [("a", b"1"), (name, None)]
