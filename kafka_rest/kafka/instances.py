"""All consumer instances of this worker: make, find, delete, expire; and the thread that tends
them.

No lock here is held across a call to Kafka.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from kafka_rest import errors
from kafka_rest.errors import because
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription
from kafka_rest.pulse import Pulse
from kafka_rest.records import Clock, Deadline

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
REMEMBERED_GONE = 1000
RETRY_AFTER = {"Retry-After": "1"}

Key = tuple[str, str]
MakeInstance = Callable[[InstanceDescription], ConsumerInstance]


@dataclass(frozen=True, slots=True)
class InstanceLimits:
    """Bounds for the instances of one worker.

    Topics are matched with the patterns of subscriptions every `match_seconds`. A client, where it
    is known, may have `per_principal` of them; 0: no limit.
    """

    count: int
    idle_seconds: float
    close_seconds: float
    match_seconds: float
    per_principal: int = 0


class ConsumerInstances:
    """The consumer instances of one worker; owns them and the housekeeping thread.

    That thread calls `beside` once a second too.
    """

    def __init__(
        self,
        make: MakeInstance,
        limits: InstanceLimits,
        topics: Callable[[Deadline], list[str]],
        clock: Clock = time.monotonic,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        self._make, self._limits, self._clock = make, limits, clock
        self._topics, self._beside = topics, beside
        self._matching: threading.Thread | None = None
        self._match_due = clock() + limits.match_seconds
        self._lock = threading.Lock()
        self._instances: dict[Key, ConsumerInstance | None] = {}
        # Nobody can find them any more, but their groups still count them in.
        self._leaving: set[ConsumerInstance] = set()
        # How many each client has, with those that are being made.
        self._having: Counter[str] = Counter()
        self._gone: OrderedDict[Key, str] = OrderedDict()
        self._born = time.time()
        self._closed = threading.Event()
        self._keeper = threading.Thread(target=self._tend, name="housekeeping", daemon=True)
        self.pulse = Pulse(self._keeper)
        self._keeper.start()

    def __len__(self) -> int:
        return len(self._instances)

    def create(self, description: InstanceDescription) -> ConsumerInstance:
        """Make an instance; its name is reserved meanwhile and released on failure.

        Raises: InstanceExists (saying how idle the other is), TooManyRequests,
        InvalidConsumerConfig, ServiceUnavailable while the worker stops.
        """
        key = (description.group, description.name)
        self._reserve(key, description.principal)
        try:
            instance = self._make(description)
        except BaseException:
            with self._lock:
                self._instances.pop(key, None)
                self._one_less(description.principal)
            raise
        with self._lock:
            late = self._closed.is_set()
            if not late:
                self._instances[key] = instance
                self._gone.pop(key, None)
        if late:
            # What closes them all has looked already.
            self._close_instance(instance, Deadline(self._limits.close_seconds, self._clock))
            raise errors.ServiceUnavailable(
                f"{errors.ServiceUnavailable.message}: this worker is being stopped. Try again.",
                RETRY_AFTER,
            )
        return instance

    def get(self, group: str, name: str) -> ConsumerInstance:
        """Find an instance. Raises: InstanceNotFound, with what is known of its end."""
        instance = self._instances.get((group, name))
        if instance is None:
            raise because(errors.InstanceNotFound, self._why_not((group, name)))
        return instance

    def delete(self, group: str, name: str) -> None:
        """Forget an instance and close its client; blocks while it leaves the group, within bounds.

        Raises: InstanceNotFound.
        """
        instance = self._remove((group, name), "It was deleted by a client.")
        if instance is None:
            raise because(errors.InstanceNotFound, self._why_not((group, name)))
        self._close_instance(instance, Deadline(self._limits.close_seconds, self._clock))

    def close(self, deadline: Deadline) -> None:
        """Close all instances side by side and end the housekeeping thread.

        Waits for those as well that are still joining a group or were deleted while they did: a
        member that does not say goodbye keeps its partitions until its session ends.
        """
        self._closed.set()
        with self._lock:
            instances = [i for i in self._instances.values() if i is not None]
            self._instances.clear()
            leaving = [*self._leaving, *instances]
        closers = [threading.Thread(target=i.stop, args=(deadline,), daemon=True) for i in leaving]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join(deadline.left())
        for instance in leaving:
            if not instance.wait_left(deadline):
                _warn("consumer has not left its group in time", instance)
        self._keeper.join(deadline.left())
        if self._matching is not None:
            self._matching.join(deadline.left())

    def keep_house(self) -> None:
        """Do once all that is done each second, whatever of it fails."""
        for step in (self.tick, self.match, self.expire, self.see_off, self._beside):
            try:
                step()
            except Exception:
                # A thread that cannot be started, say. Without this one, groups would block.
                log.exception("housekeeping failed")

    def expire(self) -> None:
        """Close the instances that no client has called for the idle time.

        Busy ones never expire.
        """
        for key, instance in list(self._instances.items()):
            if (
                instance is None
                or instance.busy
                or self._idle(instance) < self._limits.idle_seconds
            ):
                continue
            why = f"It expired after {self._limits.idle_seconds * 1000:.0f} ms without a call."
            if self._remove(key, why) is not None:
                log.info("consumer expired group=%s instance=%s", *key)
                # Aside, so that one slow goodbye does not keep the others from their ticks.
                threading.Thread(
                    target=self._close_instance,
                    args=(instance, Deadline(self._limits.close_seconds, self._clock)),
                    name="consumer-expire",
                    daemon=True,
                ).start()

    def see_off(self) -> None:
        """Have those leave that another call held when they were deleted; forget who has left."""
        with self._lock:
            self._leaving = {i for i in self._leaving if not i.left}
            leaving = list(self._leaving)
        for instance in leaving:
            instance.stop(Deadline(0))

    def tick(self) -> None:
        """Serve every idle instance once."""
        for instance in list(self._instances.values()):
            if instance is not None and not self._closed.is_set():
                try:
                    instance.tick()
                except Exception as failure:
                    log.warning(
                        "tick failed instance=%s reason=%s", instance.description.name, failure
                    )

    def match(self) -> None:
        """Look for topics that the patterns of instances match by now, when it is time to."""
        if self._clock() < self._match_due or (self._matching and self._matching.is_alive()):
            return
        self._match_due = self._clock() + self._limits.match_seconds
        wanting = [i for i in list(self._instances.values()) if i and i.subscription.pattern]
        if wanting:
            # Aside, so that a Kafka that does not answer keeps nobody from the ticks.
            matching = threading.Thread(
                target=self._match, args=(wanting,), name="pattern-match", daemon=True
            )
            matching.start()
            # One that has not been started cannot be joined.
            self._matching = matching

    def _match(self, wanting: list[ConsumerInstance]) -> None:
        try:
            existing = self._topics(Deadline(self._limits.match_seconds))
        except errors.RestError as failure:
            log.warning("topics not matched with patterns reason=%s", failure.text)
            return
        for instance in wanting:
            try:
                instance.match(existing)
            except Exception as failure:
                log.warning(
                    "topics not matched instance=%s reason=%s", instance.description.name, failure
                )

    def _one_less(self, principal: str) -> None:
        self._having[principal] -= 1
        if not self._having[principal]:
            del self._having[principal]

    def _reserve(self, key: Key, principal: str) -> None:
        with self._lock:
            if key in self._instances:
                other = self._instances[key]
                idle = (
                    f"It was last used {self._idle(other):.0f} s ago."
                    if other
                    else "It is being made."
                )
                raise because(errors.InstanceExists, idle)
            if len(self._instances) >= self._limits.count:
                raise errors.TooManyRequests(
                    f"This worker has {self._limits.count} consumer instances, as many as "
                    "consumer.instances.max allows. Delete one, or let one expire.",
                    RETRY_AFTER,
                )
            most = self._limits.per_principal
            if principal and most and self._having[principal] >= most:
                raise errors.TooManyRequests(
                    f"{principal} has {most} consumer instances in this worker, as many as "
                    "consumer.instances.per.principal.max allows. Delete one, or let one expire.",
                    RETRY_AFTER,
                )
            self._having[principal] += 1
            self._instances[key] = None

    def _remove(self, key: Key, why: str) -> ConsumerInstance | None:
        with self._lock:
            instance = self._instances.get(key)
            if instance is None:
                return None
            del self._instances[key]
            self._one_less(instance.description.principal)
            self._leaving.add(instance)
            self._gone[key] = why
            while len(self._gone) > REMEMBERED_GONE:
                self._gone.popitem(last=False)
            return instance

    def _why_not(self, key: Key) -> str:
        if key in self._instances:
            return "It is still being made."
        known = self._gone.get(key)
        return known or (
            "No such instance was made since this worker started "
            f"{time.time() - self._born:.0f} s ago; a restart ends all instances."
        )

    def _idle(self, instance: ConsumerInstance) -> float:
        return self._clock() - instance.last_used

    @staticmethod
    def _close_instance(instance: ConsumerInstance, deadline: Deadline) -> None:
        if not instance.close(deadline):
            _warn("consumer did not close in time", instance)

    def _tend(self) -> None:
        while not self._closed.wait(TICK_SECONDS):
            self.pulse.beat()
            self.keep_house()


def _warn(what: str, instance: ConsumerInstance) -> None:
    log.warning(
        f"{what} group=%s instance=%s", instance.description.group, instance.description.name
    )
