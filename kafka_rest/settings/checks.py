"""Checks across several settings; each yields the key to name and what would be valid."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kafka_rest.settings import table as t

if TYPE_CHECKING:
    from kafka_rest.settings.load import Settings

Check = Callable[["Settings"], Iterator[tuple[str, str]]]

FREE_SHARE = 4


def long_polls_max(settings: "Settings") -> int:
    """Reads that a worker may have under way: as set, else three quarters of the threads."""
    return settings[t.CONSUMER_LONG_POLLS_MAX] or _most_polls(settings)


def _most_polls(settings: "Settings") -> int:
    threads = min(settings[t.SERVER_THREADS], settings[t.SERVER_FORWARD_THREADS])
    return max(1, threads - max(1, threads // FREE_SHARE))


def _long_polls_leave_threads(settings: "Settings") -> Iterator[tuple[str, str]]:
    threads = min(settings[t.SERVER_THREADS], settings[t.SERVER_FORWARD_THREADS])
    if settings[t.CONSUMER_LONG_POLLS_MAX] >= threads:
        yield (
            t.CONSUMER_LONG_POLLS_MAX.name,
            f"below server.threads and server.forward.threads ({threads}), or 0",
        )


def _pinned_ports_exist(settings: "Settings") -> Iterator[tuple[str, str]]:
    if settings[t.CONSUMER_PINNING_LISTENERS]:
        listeners = settings[t.LISTENERS]
        first = listeners[0].port if listeners else settings[t.PORT]
        if first + settings[t.SERVER_WORKERS] > 65535:
            yield t.CONSUMER_PINNING_LISTENERS.name, "false where there is no port for each worker"


CHECKS: tuple[Check, ...] = (_long_polls_leave_threads, _pinned_ports_exist)
