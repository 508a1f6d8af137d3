"""What keeps the server small: imports that wait, pages that workers share, memory given back."""

import gc
import platform
import subprocess
import sys
import weakref

import pytest

from kafka_rest.server.allocator import OLDER_TURNS, OLDEST_TURNS, tidy, trim

FREEZE = """
import gc
from kafka_rest import settings
from kafka_rest.server.hooks import Server
Server(settings.load(None, {})).when_ready(None)
print(gc.get_freeze_count() > len(gc.get_objects()))
"""
TRIM = """
from pathlib import Path
from kafka_rest.server.allocator import OLDER_TURNS, OLDEST_TURNS, tidy, trim
def kilobytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])
# Large enough not to be Python's own business, small enough for the heap; the last one lies behind
# the others and keeps the heap from shrinking by itself.
held = [bytes(2000) for _ in range(20_000)]
last = held.pop()
full = kilobytes()
held.clear()
freed = kilobytes()
print(trim(), freed > 0.8 * full, kilobytes() < full - 30_000)
"""
START = "import sys, kafka_rest.server.{start}, kafka_rest.server.worker; print(*sys.modules)"
# Loaded at the first use of a format or of a schema; a test's tools and the development stack never
# are.
LATER = {
    "avro",
    "bcrypt",
    "charset_normalizer",
    "fastavro",
    "cryptography",
    "google",
    "hypothesis",
    "jsonschema",
    "jwt",
    "kafka_rest.devstack",
    "kafka_rest.formats.avro",
    "kafka_rest.formats.jsonschema",
    "kafka_rest.formats.protobuf",
    "kafka_rest.schemas.client",
    "protoxy",
    "referencing",
    "re2",
    "requests",
    "urllib3",
}


class Cycle:
    """Something that holds itself."""

    def __init__(self) -> None:
        self.myself = self


def said(code: str) -> list[str]:
    """The words that a fresh interpreter prints; what is tested here is the matter of a process."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("start", ["cli", "wsgi"])
def test_start_imports_nothing_that_most_servers_never_need(start: str) -> None:
    modules = set(said(START.format(start=start)))
    assert "kafka_rest.app" in modules
    assert not modules & LATER


def test_master_keeps_the_collector_from_the_pages_that_workers_share() -> None:
    assert said(FREEZE) == ["True"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no malloc_trim")
def test_trim_gives_back_what_is_free_below_something_that_is_not() -> None:
    assert said(TRIM) == ["True", "True", "True"]


def test_trim_leaves_nothing_to_the_collector() -> None:
    trim()
    gc.collect()
    for _ in range(10):
        trim()
    assert gc.collect() == 0


@pytest.mark.parametrize(
    ("looks", "turn"), [(0, 1), (1, OLDER_TURNS), (2, OLDEST_TURNS)], ids=["new", "old", "oldest"]
)
def test_cycles_are_freed_in_time_however_old(looks: int, turn: int) -> None:
    gc.disable()
    try:
        cycle = Cycle()
        held = weakref.ref(cycle)
        for generation in range(looks):
            gc.collect(generation)
        del cycle
        tidy(turn - 1)
        assert (held() is None) == (turn == 1)
        tidy(turn)
        assert held() is None
    finally:
        gc.enable()
