import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.performance.threads import MAIN, Usage, kind, look, switches, used

STATUS = (
    "Name:\tlane\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\nThreads:\t140\n"
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("handler-12", "handler"),
        ("relay-handler-1", "relay-handler"),
        ("rdk:broker1", "rdk:broker"),
        ("rdk:broker-1", "rdk:broker"),
        ("rdk:main", "rdk:main"),
        ("producer-poller", "producer-poller"),
    ],
)
def test_threads_that_do_the_same_have_one_name(name: str, expected: str) -> None:
    assert kind(name) == expected


def test_switches_are_told_apart() -> None:
    assert switches(STATUS) == (12, 3)


def test_use_between_two_looks_is_summed_by_name_the_busiest_first() -> None:
    before = {(1, 1): ("main", Usage(1, 50, 5, 1)), (1, 2): ("lane", Usage(1, 100, 10, 2))}
    after = {
        (1, 1): ("main", Usage(1, 60, 6, 1)),
        (1, 2): ("lane", Usage(1, 300, 12, 3)),
        # New since.
        (2, 2): ("lane", Usage(1, 7, 1, 0)),
    }
    found = used(before, after)
    assert found == {"lane": Usage(2, 207, 3, 1), "main": Usage(1, 10, 1, 0)}
    assert list(found) == ["lane", "main"]


def test_own_threads_are_seen_by_their_names() -> None:
    with burning("burner-7"):
        found = look([os.getpid()])
    assert found[os.getpid(), os.getpid()][0] == MAIN
    burner = next(usage for name, usage in found.values() if name == "burner")
    assert burner.threads == 1
    assert burner.cpu_ns > 0


@contextmanager
def burning(name: str) -> Iterator[None]:
    """A thread that has used some CPU, known to the system by its name."""
    burned, ended = threading.Event(), threading.Event()

    def burn() -> None:
        with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
            comm.write(name)
        while time.thread_time() < 0.01:
            pass
        burned.set()
        ended.wait(5)

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        assert burned.wait(5)
        yield
    finally:
        ended.set()
        thread.join()
