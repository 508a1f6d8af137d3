"""Memory that is free, given back: glibc's allocator keeps few arenas and is trimmed, Python's
collector comes by in time.

It gives each of librdkafka's many threads an arena of its own, up to eight a core, and what a
consumer has prefetched and freed stays in them: a worker that makes and closes consumers would grow
to several times its need. Of itself it returns only what is free at the end of an arena.

The collector comes by itself when there are so many objects more, whatever they hold: bodies,
sockets, records. A request of a thousand records has thousands, so that number is large; here it
comes by the clock as well.
"""

import ctypes
import gc
import itertools
import logging
import threading
import time

log = logging.getLogger(__name__)

ARENAS_MAX = 2
_M_ARENA_MAX = -8
TIDY_SECONDS = 5.0
OLDER_TURNS, OLDEST_TURNS = 12, 144
"""At which turns the collector looks at what its last looks have left: once a minute at what one
has, every twelve minutes at all."""
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


def tidy(turn: int) -> None:
    """Free what only cycles hold, of the young objects at most turns, and trim.

    Takes half a millisecond for 20,000 objects that it looks at, with the interpreter held.
    """
    gc.collect(2 if turn % OLDEST_TURNS == 0 else 1 if turn % OLDER_TURNS == 0 else 0)
    trim()


def keep_tidy() -> None:
    """Tidy every `TIDY_SECONDS` from now on, in a thread that ends with the process."""
    threading.Thread(target=_tidy_again_and_again, name="memory-tidy", daemon=True).start()


def _tidy_again_and_again() -> None:
    for turn in itertools.count(1):
        time.sleep(TIDY_SECONDS)
        tidy(turn)
