"""Waiting for a completion callback: how a view turns `done(result)` into a return value."""

import threading
from typing import Generic, Protocol, TypeVar

from kafka_rest.errors import GatewayTimeout
from kafka_rest.records import Deadline

T = TypeVar("T")

COMPLETION_SECONDS = 5.0


class Expirable(Protocol):
    """Something under way that can be told to answer now."""

    def expire(self) -> None:
        """Complete with what is known."""
        ...


class Latch(Generic[T]):
    """Takes one value from another thread. `set` may be called before, during or after the wait."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        # A bare lock: an Event costs a request ten times as much.
        self._lock = threading.Lock()
        self._lock.acquire()
        self._value: T | None = None

    def set(self, value: T) -> None:
        """Hand the value over and wake the waiter; to be called once."""
        self._value = value
        self._lock.release()

    def wait(
        self, pending: Expirable, deadline: Deadline, grace_seconds: float = COMPLETION_SECONDS
    ) -> T:
        """The value; at the deadline `pending` is expired, which brings one about.

        Raises: GatewayTimeout if it does not, within the grace.
        """
        if not self._lock.acquire(timeout=deadline.left()):
            pending.expire()
            # That completes at once, unless another thread is completing it this very moment.
            self._lock.acquire(timeout=grace_seconds)
        if self._value is None:
            raise GatewayTimeout
        return self._value
