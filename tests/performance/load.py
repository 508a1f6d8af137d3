"""The load generator wrk: one request over and over, and what it says about the answers."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.performance.processes import cpu_seconds

LEAST_SECONDS = 1.0
"""wrk takes whole seconds."""


class Request(NamedTuple):
    """What is sent; without a body a GET. `script` is Lua for what differs between requests."""

    url: str
    body: str | None = None
    headers: Mapping[str, str] = {}
    script: str = ""


@dataclass(frozen=True)
class Run:
    """One run of the load generator."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int
    """Answers that were no success, and connections that broke or timed out."""
    cpu_seconds: float | None = None
    """CPU of the server's tree meanwhile; None where its process is not known."""

    @property
    def taken(self) -> int:
        """Requests that were answered with a success."""
        return max(self.requests - self.failed, 0)


def require_wrk() -> None:
    """End with a sentence where the load generator is missing."""
    if shutil.which("wrk") is None:
        sys.exit("The load generator wrk is missing (Debian: apt-get install wrk).")


def wrk(request: Request, connections: int, seconds: float, pid: int | None = None) -> Run:
    """Send the same request over and over for so many seconds (rounded to whole ones)."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua(request))
        script.flush()
        before = cpu_seconds(pid) if pid else 0.0
        said = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{max(seconds, LEAST_SECONDS):.0f}s"),
                *("--latency", "-s", script.name, request.url),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        ).stdout
        return parsed(said, cpu_seconds(pid) - before if pid else None)


def lua(request: Request) -> str:
    """The request as wrk is told of it."""
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items()]
    if request.body is not None:
        lines += ['wrk.method = "POST"', f"wrk.body = [==[{request.body}]==]"]
    return "\n".join([*lines, request.script, ""])


def parsed(said: str, cpu: float | None = None) -> Run:
    """What wrk has printed, as a run."""
    total = re.search(r"(\d+) requests in ([\d.]+)(\w+)", said)
    assert total, said
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    return Run(
        int(total[1]),
        _milliseconds(total[2], total[3]) / 1000,
        _percentile(said, 50),
        _percentile(said, 99),
        (int(refused[1]) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0),
        cpu,
    )


def _percentile(said: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", said)
    return _milliseconds(found[1], found[2]) if found else float("nan")


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]
