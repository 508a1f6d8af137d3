"""Waiting reads hold no thread: one thread learns when an instance has something, or a read's time
is up, and a few others then try that instance's reads again.

An attempt decodes, and may ask the schema registry; so it has threads of its own, and instances
whose formats have schemas have others than those without.
"""

import heapq
import logging
import queue
import select
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from confluent_kafka import Consumer

from kafka_rest.errors import TooManyRequests
from kafka_rest.kafka.wakeups import Wakeups
from kafka_rest.pulse import Pulse

log = logging.getLogger(__name__)

PACE_SECONDS = 0.1
"""How often reads are tried again where librdkafka does not tell when to."""
LONGEST_PAUSE_SECONDS = 5.0
PLAIN_THREADS, SCHEMA_THREADS = 2, 4

_NOBODY = 0


class Instance(Protocol):
    """What reads wait at."""

    needs_schemas: bool

    @property
    def waited_for(self) -> bool:
        """True while reads wait."""
        ...

    def attempt(self) -> None:
        """End the reads that can be, and call `arm` for the others; never waits."""
        ...


class WaitingReads:
    """All waiting reads of one worker: their number, and the threads that try them again."""

    def __init__(
        self, most: int, draining: threading.Event, wakeups: Wakeups | None = None
    ) -> None:
        self._most, self._draining = most, draining
        self._wakeups = wakeups or Wakeups()
        self._lock = threading.Lock()
        self._count = 0
        self._next_number = count(_NOBODY + 1).__next__
        self._attached: dict[int, Instance] = {}
        self._unheard = self._closed = False
        # When to try an instance again, whatever is heard of it; each has one moment that counts.
        self._armed: dict[Instance, float] = {}
        self._moments: list[tuple[float, int, Instance]] = []
        self._queues: dict[bool, queue.SimpleQueue[Instance | None]] = {
            False: queue.SimpleQueue(),
            True: queue.SimpleQueue(),
        }
        numbers = {False: PLAIN_THREADS, True: SCHEMA_THREADS}
        self._threads = [threading.Thread(target=self._run, name="reads", daemon=True)]
        self._threads += [
            threading.Thread(target=self._try, args=(self._queues[kind],), name=name, daemon=True)
            for kind, number in numbers.items()
            for name in (f"{'schema' if kind else 'plain'}-read-{n}" for n in range(number))
        ]
        self.pulse = Pulse(self._threads[0])
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return self._count

    def enter(self) -> None:
        """Count one more read. Raises: TooManyRequests."""
        with self._lock:
            if self._count < self._most:
                self._count += 1
                return
        raise TooManyRequests(
            f"This worker has {self._most} reads under way, as many as "
            "consumer.long.polls.max allows. Try again.",
            {"Retry-After": "1"},
        )

    def leave(self) -> None:
        """Count one read less."""
        with self._lock:
            self._count -= 1

    def attach(self, instance: Instance, consumer: Consumer, client_id: str) -> Callable[[], None]:
        """Try the instance's reads whenever its consumer has got something.

        Returns what ends it, to be called once, before the consumer is closed.
        """
        number = self._next_number()
        detach = self._wakeups.attach(consumer, client_id, number)
        self._unheard |= detach is None
        with self._lock:
            self._attached[number] = instance

        def end() -> None:
            if detach is not None:
                detach()
            with self._lock:
                self._attached.pop(number, None)
                self._armed.pop(instance, None)

        return end

    def wake(self, instance: Instance) -> None:
        """Have the instance's reads tried again by another thread."""
        self._queues[instance.needs_schemas].put(instance)

    def arm(self, instance: Instance, seconds: float) -> None:
        """Try the instance's reads again in so many seconds, if nothing does earlier."""
        at = time.monotonic() + seconds
        with self._lock:
            known = self._armed.get(instance)
            if known is not None and known <= at:
                return
            self._armed[instance] = at
            heapq.heappush(self._moments, (at, self._next_number(), instance))
            is_next = self._moments[0][0] == at
        if is_next or self._draining.is_set():
            self._wakeups.tell(_NOBODY)

    def drain(self) -> None:
        """Have all reads end, once `draining` is set; callable from a signal handler."""
        self._wakeups.tell(_NOBODY)

    def close(self, _deadline: object = None) -> None:
        """End the threads; to be called when the instances are closed."""
        self._closed = True
        self._wakeups.tell(_NOBODY)
        self._threads[0].join()
        for thread in self._threads[1:]:
            self._queues[thread.name.startswith("schema")].put(None)
        for thread in self._threads[1:]:
            # One that asks a schema registry may take longer; it is a daemon.
            thread.join(1)
        self._wakeups.close()

    def _run(self) -> None:
        """Hear what has got something, and see whose time has come."""
        poll = select.poll()
        poll.register(self._wakeups.descriptor, select.POLLIN)
        while not self._closed:
            self.pulse.beat()
            poll.poll(self._pause_seconds() * 1000)
            for number in self._wakeups.told():
                instance = self._attached.get(number)
                if instance is not None and instance.waited_for:
                    self.wake(instance)
            for instance in self._due():
                self.wake(instance)

    def _pause_seconds(self) -> float:
        with self._lock:
            pause = LONGEST_PAUSE_SECONDS
            if self._moments:
                pause = min(pause, max(0.0, self._moments[0][0] - time.monotonic()))
            return min(pause, PACE_SECONDS) if self._unheard and self._armed else pause

    def _due(self) -> list[Instance]:
        """The instances whose time has come; while draining, and without being told, all."""
        now = time.monotonic()
        with self._lock:
            if self._draining.is_set():
                found = list(self._armed)
                self._armed.clear()
                self._moments.clear()
                return found
            found = list(self._armed) if self._unheard else []
            while self._moments and self._moments[0][0] <= now:
                at, _, instance = heapq.heappop(self._moments)
                if self._armed.get(instance) == at:
                    del self._armed[instance]
                    found.append(instance)
            return found

    @staticmethod
    def _try(instances: "queue.SimpleQueue[Instance | None]") -> None:
        while True:
            instance = instances.get()
            if instance is None:
                return
            try:
                instance.attempt()
            except Exception:
                # One instance's trouble is not the others'.
                log.exception("attempt at reads failed")
