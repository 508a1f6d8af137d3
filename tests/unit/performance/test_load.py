import pytest

from tests.performance.load import Request, lua, parsed

SAID = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  Latency Distribution
     50%  812.00us
     75%    1.20ms
     90%    2.00ms
     99%    1.03s
  20000 requests in 2.00s, 3.00MB read
"""


def test_units_of_times_are_understood() -> None:
    run = parsed(SAID, 0.5)
    assert (run.requests, run.seconds, run.cpu_seconds) == (20_000, 2.0, 0.5)
    assert run.p50_ms == pytest.approx(0.812)
    assert run.p99_ms == pytest.approx(1030.0)
    assert (run.failed, run.taken) == (0, 20_000)


def test_refusals_and_broken_connections_are_failures() -> None:
    errors = "  Socket errors: connect 1, read 2, write 3, timeout 4\n"
    run = parsed(f"{SAID}{errors}  Non-2xx or 3xx responses: 100\n")
    assert (run.failed, run.taken) == (110, 19_890)


def test_what_is_no_result_is_an_error() -> None:
    with pytest.raises(AssertionError, match="unable to connect"):
        parsed("unable to connect to 127.0.0.1:1")


def test_a_request_is_told_in_lua() -> None:
    assert lua(Request("http://h")) == "\n"
    told = lua(Request("http://h", '{"a":1}', {"A": "b"}, "request = 1"))
    assert told == (
        'wrk.headers["A"] = "b"\nwrk.method = "POST"\nwrk.body = [==[{"a":1}]==]\nrequest = 1\n'
    )
