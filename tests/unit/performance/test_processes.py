import os
import subprocess
import sys
import threading
import time

import pytest

from tests.performance.processes import cpu_seconds, footprint, pss_of, tree

BURN_SECONDS = 0.2
BURN = f"import time\nwhile time.process_time() < {BURN_SECONDS}: pass"


def burn() -> None:
    end = time.thread_time() + BURN_SECONDS
    while time.thread_time() < end:
        pass


def test_a_thread_that_has_ended_stays_counted() -> None:
    before = cpu_seconds(os.getpid())
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    assert cpu_seconds(os.getpid()) - before >= BURN_SECONDS


def test_a_child_that_has_ended_stays_counted() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BURN], check=True)
    # Known in ticks of 10 ms for user and system time each.
    assert cpu_seconds(os.getpid()) - before >= BURN_SECONDS - 0.02


def test_a_tree_has_children_and_their_memory() -> None:
    alone = footprint(os.getpid())
    waiting = [sys.executable, "-c", "print(flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(waiting, **pipes) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        # It has the memory that it will have.
        child.stdout.readline()
        assert child.pid in tree(os.getpid())
        both = footprint(os.getpid())
        child.stdin.close()
    assert both.threads == alone.threads + 1
    assert both.rss_mb > alone.rss_mb
    # The kernel counts the one exactly, the other in steps for each thread.
    assert both.pss_mb <= both.rss_mb * 1.05


def test_a_process_that_is_not_there_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        with pytest.raises(ProcessLookupError):
            cpu_seconds(child.pid)


def test_pss_is_not_taken_for_its_parts() -> None:
    assert pss_of("00-ff [rollup]\nRss: 9 kB\nPss_Anon: 1 kB\nPss:    123 kB\n") == 123
    assert pss_of("") == 0
