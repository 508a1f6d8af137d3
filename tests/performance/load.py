"""What a benchmark needs: a load generator, the CPU and memory of a process tree, a table."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def require_wrk() -> None:
    """End with a sentence where the load generator is missing."""
    if shutil.which("wrk") is None:
        sys.exit("The load generator wrk is missing (Debian: apt-get install wrk).")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            # A thread may end between the listing and the reading.
            with suppress(FileNotFoundError):
                found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process tree so far."""
    ticks = 0
    for member in tree(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of a process tree, in MiB; what workers share is counted for each."""
    pages = sum(int(Path(f"/proc/{m}/statm").read_text().split()[1]) for m in tree(pid))
    return pages * PAGE_BYTES / 2**20


@dataclass(frozen=True)
class Run:
    """One run of the load generator."""

    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU of the server per request, in microseconds."""
        return self.cpu_seconds / max(self.requests, 1) * 1e6


def wrk(
    pid: int,
    url: str,
    connections: int,
    seconds: float,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Run:
    """Send the same request over and over; the CPU of the tree of `pid` meanwhile."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body is not None:
            script.write(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n')
        for name, value in (headers or {}).items():
            script.write(f'wrk.headers["{name}"] = "{value}"\n')
        script.flush()
        before = cpu_seconds(pid)
        said = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{seconds:.0f}s",
                "--latency",
                "-s",
                script.name,
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        ).stdout
        spent = cpu_seconds(pid) - before
    total = re.search(r"(\d+) requests in ([\d.]+)(\w+)", said)
    assert total, said
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Run(
        int(total[1]),
        _milliseconds(total[2], total[3]) / 1000,
        spent,
        _percentile(said, 50),
        _percentile(said, 99),
        int(refused[1]) if refused else 0,
    )


def _percentile(said: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", said)
    return _milliseconds(found[1], found[2]) if found else float("nan")


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]


def spread(values: Sequence[float], digits: int = 0) -> str:
    """min / median / max."""
    middle = statistics.median(values)
    return " / ".join(f"{value:,.{digits}f}" for value in (min(values), middle, max(values)))


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()
