"""How many requests that wait may hold a thread at a time, where the lane cannot keep them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kafka_rest.errors import TooManyRequests


class LongPolls:
    """A counted room for reads and the like; one more is refused, not queued."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one request for the length of the block. Raises: TooManyRequests, at once."""
        with self._lock:
            if self._count >= self._most:
                raise TooManyRequests(
                    f"This worker has {self._most} requests under way that wait and hold a thread "
                    "each, as many as leave some for others. Try again.",
                    {"Retry-After": "1"},
                )
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
