"""Signs of life: a loop says that it has come round, and whoever watches sees when it no longer
does.
"""

import threading
import time

from kafka_rest.records import Clock

STALL_SECONDS = 20.0
"""How long a loop may take to come round; each has its own bounds well below."""


class Pulse:
    """The pulse of one thread, made before the thread is started; told by it, read by any."""

    __slots__ = ("_at", "_clock", "_thread")

    def __init__(self, thread: threading.Thread, clock: Clock = time.monotonic) -> None:
        self._thread, self._clock, self._at = thread, clock, clock()

    @property
    def name(self) -> str:
        """The thread's name."""
        return self._thread.name

    @property
    def age(self) -> float:
        """Seconds since the loop came round."""
        return max(0.0, self._clock() - self._at)

    @property
    def problem(self) -> str:
        """A sentence on what is wrong, "" for nothing. A thread not yet started is not wrong."""
        if self._thread.ident is not None and not self._thread.is_alive():
            return f"thread {self.name} has ended"
        age = self.age
        return f"thread {self.name} has stood still for {age:.0f} s" if age > STALL_SECONDS else ""

    def beat(self) -> None:
        """The loop has come round."""
        self._at = self._clock()
