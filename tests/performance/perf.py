"""Where processes spend their CPU, by the file that its code came from: the profiler `perf`."""

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SAMPLES_PER_SECOND = 999
PATIENCE_SECONDS = 120
KINDS = {
    "kernel": re.compile(r"\[kernel|\[unknown\]|\[vdso\]|\[guest"),
    "interpreter": re.compile(r"python3?(\.\d+)*\Z|libpython"),
    "librdkafka": re.compile(r"librdkafka"),
    "its binding": re.compile(r"cimpl\."),
    # msgspec's.
    "JSON": re.compile(r"_core\."),
    "C library": re.compile(r"libc[.-]|ld-|libpthread|libm[.-]"),
}
OTHER = "other"


class NoPerf(Exception):
    """It cannot be had here; the text says why."""


class Recording:
    """What a run of the profiler has found; `shares` once it has ended."""

    shares: dict[str, float]


@contextmanager
def recorded(pids: Sequence[int]) -> Iterator[Recording]:
    """Watch the processes meanwhile. Raises: NoPerf, at the start or at the end."""
    if shutil.which("perf") is None:
        raise NoPerf("`perf` is not on this machine (Debian: apt-get install linux-perf)")
    found = Recording()
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "perf.data"))
        command = ["perf", "record", "-F", str(SAMPLES_PER_SECOND), "-o", data]
        with subprocess.Popen(
            [*command, "-p", ",".join(map(str, pids))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield found
            finally:
                process.send_signal(signal.SIGINT)
                said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        reported = subprocess.run(
            ["perf", "report", "-i", data, "--stdio", "--sort", "dso", "-F", "overhead,dso"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    found.shares = shares(reported.stdout)
    if not found.shares:
        raise NoPerf(f"`perf` has no samples: {' '.join((said + reported.stderr).split())[:200]}")


def shares(report: str) -> dict[str, float]:
    """The share of each kind, in percent, from a report by files; empty where it has none."""
    found: dict[str, float] = {}
    for percent, name in re.findall(r"^\s*([\d.]+)%\s+(\S.*?)\s*$", report, re.M):
        kind = next((kind for kind, pattern in KINDS.items() if pattern.search(name)), OTHER)
        found[kind] = found.get(kind, 0.0) + float(percent)
    return found
