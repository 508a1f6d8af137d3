"""Which cores threads may use: Python's threads of a worker share one, librdkafka's are free.

Handing one interpreter lock between cores costs more than a second core brings.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_every_core = os.sched_getaffinity(0)


def pin_python_threads(core: int) -> None:
    """Keep all Python threads that run now, and those they start, on one core."""
    os.sched_setaffinity(0, {core})
    for thread in threading.enumerate():
        # The main thread of a forked process still has the number of its parent's.
        if thread.native_id is not None and thread is not threading.main_thread():
            os.sched_setaffinity(thread.native_id, {core})


@contextmanager
def free_threads() -> Iterator[None]:
    """Let the threads that a library starts in this block use every core: they inherit the mask."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _every_core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
