"""A result that another thread will bring: waited for by a thread, or passed on without one."""

import threading
from collections.abc import Callable
from itertools import count
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


class Pending(Generic[T]):
    """Takes one value from whoever has it, and gives it to the one who asks.

    `set` may be called before, during or after the asking, from any thread. At the deadline it is
    the asker's part to call `expire`, which brings a value about. `abandon`, where there is one, is
    for an asker that has nobody any more to tell the value to.
    """

    __slots__ = ("_meet", "_then", "_value", "abandon", "deadline", "source")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.source: Expirable | None = None
        self.abandon: Callable[[], None] | None = None
        # One C call: of the two who meet here, giver and asker, exactly one gets 1.
        self._meet = count().__next__
        self._value: T | None = None

    @property
    def there(self) -> bool:
        """True once the value is there, if it is not None."""
        return self._value is not None

    def set(self, value: T) -> None:
        """Hand the value over; to be called once. Runs what `then` left, if that was earlier."""
        self._value = value
        if self._meet():
            use = self._then
            # What is called with the value usually holds this.
            del self._then
            use(value)

    def then(self, use: Callable[[T], None]) -> None:
        """Have `use` called with the value, once: here if it is there, else by the giver's thread.

        To be called once.
        """
        self._then = use
        if self._meet():
            del self._then
            use(self._value)  # type: ignore[arg-type] # set() came first

    def expire(self) -> None:
        """Have the source complete with what is known."""
        if self.source is not None:
            self.source.expire()

    def wait(self, grace_seconds: float = COMPLETION_SECONDS) -> T:
        """The value; blocks until the deadline, and for the grace where expiring brings none.

        Raises: GatewayTimeout then.
        """
        # A bare lock: an Event costs a request ten times as much.
        lock = threading.Lock()
        lock.acquire()
        self.then(lambda _value: lock.release())
        if not lock.acquire(timeout=self.deadline.left()):
            self.expire()
            # That completes at once, unless another thread is completing it this very moment.
            if not lock.acquire(timeout=grace_seconds):
                raise GatewayTimeout
        return self._value  # type: ignore[return-value] # set() came before the release
