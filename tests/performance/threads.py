"""What the threads of processes use, by their names, from outside. Linux only."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MAIN = "main"
"""The first thread of a process, whose name is that of its program."""
_NUMBER = re.compile(r"[-/]?-?\d*\Z")


class Usage(NamedTuple):
    """What threads have used: CPU time, and how often they gave the core away or lost it."""

    threads: int = 0
    cpu_ns: int = 0
    voluntary: int = 0
    involuntary: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(*map(sum, zip(self, other, strict=True)))

    def since(self, before: "Usage") -> "Usage":
        """What has been used since an earlier look at the same thread."""
        used = (mine - theirs for mine, theirs in zip(self[1:], before[1:], strict=True))
        return Usage(self.threads, *used)


Threads = Mapping[tuple[int, int], tuple[str, Usage]]
"""Process and thread: name, and what it has used."""


def look(pids: Iterable[int]) -> Threads:
    """All threads of the processes now."""
    found = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            # A thread may end between the listing and the reading.
            with suppress(FileNotFoundError, ProcessLookupError):
                tid = int(task.name)
                name = MAIN if tid == pid else kind((task / "comm").read_text().strip())
                cpu_ns = int((task / "schedstat").read_text().split()[0])
                found[pid, tid] = name, Usage(1, cpu_ns, *switches((task / "status").read_text()))
    return found


def kind(name: str) -> str:
    """What threads are called that do the same: the name without its number.

    librdkafka's come as rdk:broker1, rdk:broker-1 and rdk:main, a pool's as handler-12; the kernel
    keeps fifteen characters.
    """
    return _NUMBER.sub("", name)


def switches(status: str) -> tuple[int, int]:
    """Voluntary and involuntary context switches, from a thread's status file."""
    found = dict(re.findall(r"^(\w+voluntary|voluntary)_ctxt_switches:\s*(\d+)$", status, re.M))
    return int(found["voluntary"]), int(found["nonvoluntary"])


def used(before: Threads, after: Threads) -> dict[str, Usage]:
    """What each kind of threads has used between two looks, the busiest first.

    A thread that came meanwhile counts from its start, one that went does not count.
    """
    found: dict[str, Usage] = {}
    for place, (name, now) in after.items():
        since = now.since(before[place][1]) if place in before else now
        found[name] = found.get(name, Usage()).plus(since)
    return dict(sorted(found.items(), key=lambda item: -item[1].cpu_ns))
