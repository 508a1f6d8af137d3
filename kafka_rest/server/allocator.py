"""glibc's allocator, told to keep few arenas and to give back what is free.

It gives each of librdkafka's many threads an arena of its own, up to eight a core, and what a
consumer has prefetched and freed stays in them: a worker that makes and closes consumers would grow
to several times its need. Of itself it returns only what is free at the end of an arena.
"""

import ctypes
import logging
import threading
import time

log = logging.getLogger(__name__)

ARENAS_MAX = 2
_M_ARENA_MAX = -8
TRIM_SECONDS = 5.0
# Once: each makes classes, which hold themselves.
_C = ctypes.CDLL(None)


def limit_arenas() -> None:
    """Let this process have `ARENAS_MAX` arenas; without effect where the C library is another."""
    try:
        _C.mallopt(_M_ARENA_MAX, ARENAS_MAX)
    except AttributeError:
        log.info("the C library has no mallopt, its arenas are not limited")


def trim() -> bool:
    """Give all free pages back to the system; False where the C library cannot.

    Takes 0.1 ms where little is free, some ms where much is; the interpreter is free meanwhile.
    """
    try:
        _C.malloc_trim(0)
    except AttributeError:
        return False
    return True


def keep_trimmed() -> None:
    """Trim every `TRIM_SECONDS` from now on, in a thread that ends with the process."""
    threading.Thread(target=_trim_again_and_again, name="memory-trim", daemon=True).start()


def _trim_again_and_again() -> None:
    while trim():
        time.sleep(TRIM_SECONDS)
