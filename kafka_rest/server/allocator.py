"""glibc's allocator, told to keep few arenas.

It gives each of librdkafka's many threads an arena of its own, up to eight a core, and what a
consumer has prefetched and freed stays in them: a worker that makes and closes consumers would grow
to several times its need.
"""

import ctypes
import logging

log = logging.getLogger(__name__)

ARENAS_MAX = 2
_M_ARENA_MAX = -8


def limit_arenas() -> None:
    """Let this process have `ARENAS_MAX` arenas; without effect where the C library is another."""
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS_MAX)
    except (OSError, AttributeError):
        log.info("the C library has no mallopt, its arenas are not limited")
