"""What a tree of processes has used and holds: CPU, memory, threads, descriptors. Linux only."""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
POOLS = ("handler-", "relay-handler-")
"""How the names of the threads of a pool begin."""
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a tree holds at one moment.

    `rss_mb` counts a page that processes share once for each of them, `pss_mb` once in all; both
    in MiB. `threads` without those of the server's pools.
    """

    rss_mb: float
    pss_mb: float
    threads: int
    descriptors: int


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        # A process or a thread may end between the listing and the reading.
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a tree so far, in seconds, of processes that have ended too.

    The processes' CPU clocks: nanoseconds, and threads that have ended stay counted, which the
    schedstat files of the threads forget. Children that have been waited for are known in ticks.
    """
    return sum(_own_seconds(member) + _ended_seconds(member) for member in _living(pid))


def _own_seconds(pid: int) -> float:
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0.0
    # EINVAL: ended since.
    with suppress(OSError):
        return time.clock_gettime(clock.value)
    return 0.0


def _ended_seconds(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / TICKS
    return 0.0


def footprint(pid: int) -> Footprint:
    """What a tree holds now."""
    pages, pss_kb, threads, descriptors = 0, 0, 0, 0
    for member in _living(pid):
        folder = Path(f"/proc/{member}")
        with suppress(FileNotFoundError, ProcessLookupError):
            pages += int((folder / "statm").read_text().split()[1])
            pss_kb += pss_of((folder / "smaps_rollup").read_text())
            threads += sum(map(_comes_and_goes, (folder / "task").iterdir()))
            descriptors += len(list((folder / "fd").iterdir()))
    return Footprint(pages * PAGE_BYTES / 2**20, pss_kb / 1024, threads, descriptors)


def _comes_and_goes(task: Path) -> bool:
    """False for a thread of a server's pool: those are started when they are wanted, and stay."""
    try:
        return not (task / "comm").read_text().startswith(POOLS)
    except (FileNotFoundError, ProcessLookupError):
        return False


def pss_of(rollup: str) -> int:
    """The Pss of a smaps_rollup file, in kB; 0 where it has none."""
    for line in rollup.splitlines():
        name, _, rest = line.partition(":")
        if name == "Pss":
            return int(rest.split()[0])
    return 0


def _living(pid: int) -> Iterator[int]:
    os.kill(pid, 0)  # A tree that is not there is no tree that uses nothing.
    yield from tree(pid)
