"""How many requests a second each client may make, with a second's worth at once after a pause."""

import math
import threading
import time
from collections import OrderedDict

from kafka_rest.errors import TooManyRequests
from kafka_rest.records import Clock

CLIENTS = 10_000
"""How many clients are counted, the longest idle forgotten first: by then it has its second again,
unless more come at a time.
"""


class Rates:
    """Counts the requests of one worker. Thread-safe."""

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        """`most` requests a second for each client."""
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        # What each client may still do at once, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, principal: str) -> None:
        """Count a request. Raises: TooManyRequests, which counts none."""
        now = self._clock()
        with self._lock:
            left, then = self._left.get(principal, (self._most, now))
            left = min(self._most, left + (now - then) * self._most)
            if left < 1:
                raise TooManyRequests(
                    f"{TooManyRequests.message}: {principal} may make {self._most} a second of "
                    "this worker, see request.rate.max.",
                    {"Retry-After": str(math.ceil((1 - left) / self._most))},
                )
            self._left[principal] = (left - 1, now)
            self._left.move_to_end(principal)
            while len(self._left) > CLIENTS:
                self._left.popitem(last=False)

    def give_back(self, principal: str) -> None:
        """Uncount a request that was taken and not served after all."""
        with self._lock:
            left, then = self._left.get(principal, (self._most - 1, 0.0))
            self._left[principal] = (left + 1, then)
