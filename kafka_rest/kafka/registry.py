"""The client registry: every client that one worker process holds, made after fork, closed in
reverse.

librdkafka does not survive a fork: a producer made before it delivers nothing, silently.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, overload

from confluent_kafka import Consumer, KafkaException

from kafka_rest import settings as s
from kafka_rest.errors import InvalidConsumerConfig, because
from kafka_rest.kafka import config
from kafka_rest.kafka.affinity import free_threads
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription
from kafka_rest.kafka.failures import error_of, sentence
from kafka_rest.kafka.instances import ConsumerInstances, InstanceLimits
from kafka_rest.kafka.messages import LIBRDKAFKA_LOG
from kafka_rest.kafka.metadata import ClusterMetadata
from kafka_rest.kafka.producers import SharedProducer
from kafka_rest.kafka.readiness import Readiness
from kafka_rest.kafka.schema_access import registry_client
from kafka_rest.kafka.simple import SimpleConsumers
from kafka_rest.kafka.trouble import BrokerTrouble
from kafka_rest.kafka.waiting import WaitingReads
from kafka_rest.metrics import Cells, Rows
from kafka_rest.metrics.table import (
    CONSUMED_BYTES,
    CONSUMED_RECORDS,
    PRODUCED_BYTES,
    PRODUCED_RECORDS,
    SCHEMA_CALL_SECONDS,
)
from kafka_rest.pinning import mint_instance
from kafka_rest.pulse import Pulse
from kafka_rest.records import Deadline
from kafka_rest.schemas.resolve import SchemaResolver
from kafka_rest.schemas.subjects import STRATEGIES

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_INSTANCE_SECONDS = 5.0


class FlowLimits(NamedTuple):
    """The bounds that the flows look at on every request, in seconds, bytes and records."""

    produce_seconds: float
    trace_headers: bool
    block_seconds: float
    metadata_seconds: float
    read_seconds: float
    longest_read_seconds: float
    read_bytes: int
    read_min_bytes: int
    join_seconds: float
    commit_seconds: float
    produce_records: int


class _Lazy(Generic[T]):
    """A client made at its first use, by one thread; then a plain attribute."""

    def __init__(self, make: "Callable[[ClientRegistry], T]") -> None:
        self._make = make

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, registry: None, owner: type) -> "_Lazy[T]": ...
    @overload
    def __get__(self, registry: "ClientRegistry", owner: type) -> T: ...
    def __get__(self, registry: "ClientRegistry | None", owner: type) -> "_Lazy[T] | T":
        if registry is None:
            return self
        return registry._made(self._name, self._make)


class ClientRegistry:
    """The clients of one worker. Thread-safe; to be used in the process that made it."""

    def __init__(
        self, settings: s.Settings, slot: int = 0, slots: int = 1, cells: Cells | None = None
    ) -> None:
        self.settings, self.slot, self.slots = settings, slot, slots
        self.cells = cells or Cells()
        self.produced = Rows(self.cells, PRODUCED_RECORDS, PRODUCED_BYTES)
        self.consumed = Rows(self.cells, CONSUMED_RECORDS, CONSUMED_BYTES)
        self.draining = threading.Event()
        self.limits = FlowLimits(
            produce_seconds=settings[s.PRODUCE_TIMEOUT_MS] / 1000,
            trace_headers=settings[s.PRODUCE_TRACE_HEADERS],
            block_seconds=config.block_seconds(settings),
            metadata_seconds=settings[s.METADATA_TIMEOUT_MS] / 1000,
            read_seconds=settings[s.CONSUMER_REQUEST_TIMEOUT_MS] / 1000,
            longest_read_seconds=s.longest_read_seconds(settings),
            read_bytes=settings[s.CONSUMER_REQUEST_MAX_BYTES],
            read_min_bytes=settings[s.FETCH_MIN_BYTES],
            join_seconds=settings[s.CONSUMER_JOIN_TIMEOUT_MS] / 1000,
            commit_seconds=settings[s.CONSUMER_COMMIT_TIMEOUT_MS] / 1000,
            produce_records=settings[s.REQUEST_RECORDS_MAX] or sys.maxsize,
        )
        self.subject_strategies = {
            "key": STRATEGIES[settings[s.SCHEMA_REGISTRY_KEY_SUBJECT_NAME_STRATEGY]],
            "value": STRATEGIES[settings[s.SCHEMA_REGISTRY_VALUE_SUBJECT_NAME_STRATEGY]],
        }
        self.has_registry = bool(settings[s.SCHEMA_REGISTRY_URL])
        if self.has_registry:
            self.cells.start(SCHEMA_CALL_SECONDS, ("answered", "refused", "unreachable"))
        self._trouble = BrokerTrouble("producer and look-ups", lasting=True)
        if config.wants_debug(settings):
            LIBRDKAFKA_LOG.setLevel(logging.DEBUG)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._closers: list[tuple[str, Callable[[Deadline], None]]] = []

    # -- the clients
    # ---------------------------------------------------------------------------------

    def _metadata(self) -> ClusterMetadata:
        max_age = self.settings[s.METADATA_MAX_AGE_MS] / 1000
        return ClusterMetadata(
            config.admin_config(self.settings),
            self.limits.metadata_seconds,
            max_age,
            trouble=self._trouble,
        )

    def _producer(self) -> SharedProducer:
        # One with credentials of its own has troubles of its own.
        shared = self._trouble if config.same_security(self.settings) else None
        made = config.producer_config(self.settings)
        return SharedProducer(made, trouble=shared, cells=self.cells)

    def _schemas(self) -> SchemaResolver:
        return SchemaResolver(
            registry_client(self.settings, self.cells), self.settings[s.SCHEMA_REGISTRY_CACHE_SIZE]
        )

    def _simple_consumers(self) -> SimpleConsumers:
        return SimpleConsumers(
            config.consumer_config(self.settings),
            self.settings[s.SIMPLECONSUMER_POOL_SIZE_MAX],
            self.settings[s.SIMPLECONSUMER_POOL_TIMEOUT_MS] / 1000,
        )

    def _reads(self) -> WaitingReads:
        return WaitingReads(self.settings[s.CONSUMER_LONG_POLLS_MAX], self.draining)

    def _instances(self) -> ConsumerInstances:
        # Made before and so closed after the instances.
        reads = self.reads
        return ConsumerInstances(
            lambda description: self._consumer_instance(description, reads),
            InstanceLimits(
                count=self.settings[s.CONSUMER_INSTANCES_MAX],
                idle_seconds=self.settings[s.CONSUMER_INSTANCE_TIMEOUT_MS] / 1000,
                close_seconds=CLOSE_INSTANCE_SECONDS,
                match_seconds=config.match_seconds(self.settings),
                per_principal=self.settings[s.CONSUMER_INSTANCES_PER_PRINCIPAL_MAX],
            ),
            # Looked up when a pattern wants it, not now: that would open a connection.
            lambda deadline: self.metadata.topics(deadline),
            beside=lambda: self.metadata.serve(),
        )

    metadata = _Lazy(_metadata)
    producer = _Lazy(_producer)
    schemas = _Lazy(_schemas)
    simple_consumers = _Lazy(_simple_consumers)
    reads = _Lazy(_reads)
    instances = _Lazy(_instances)

    @property
    def pulses(self) -> list[Pulse]:
        """Those of the threads without which no request can be served; makes the clients."""
        return [self.producer.pulse, self.instances.pulse, self.reads.pulse]

    def readiness(self) -> Readiness:
        """What is to find out whether Kafka can be used; the caller turns it."""
        servers = self.settings[s.BOOTSTRAP_SERVERS]
        return Readiness(
            self.metadata.brokers,
            lambda: self.producer.trouble,
            servers,
            self.settings[s.READY_METADATA_INTERVAL_MS] / 1000,
        )

    def mint_instance(self, group: str) -> str:
        """A name for an unnamed instance, of which this worker is the owner."""
        server = self.settings[s.ID]
        prefix = f"rest-consumer-{server}-" if server else "rest-consumer-"
        cluster = s.cluster(self.settings)
        return mint_instance(
            group, self.slot, self.slots, prefix, cluster.own, max(1, len(cluster.peers))
        )

    # -- life
    # ----------------------------------------------------------------------------------------

    def refusal(self) -> str | None:
        """Why Kafka and this proxy do not accept each other, in a sentence; None where they do, or
        where nothing is known yet. Waits for nothing, asks nobody.

        Known within about a second: librdkafka tries to be connected whether or not it is used.
        Over when a look-up has been answered, or ten seconds after it was last refused.
        """
        refused = self._trouble.refusal or self.producer.refusal
        return None if refused is None else sentence(refused)

    def open(self) -> None:
        """Make what nearly every request needs, so that the first one does not wait for it."""
        for name in ("metadata", "producer", "instances"):
            getattr(self, name)

    def made(self, name: str) -> Any:
        """A client, if it has been made; None where it has not."""
        return self.__dict__.get(name)

    def drain(self) -> None:
        """Tell reads to answer with what they have; callable from a signal handler."""
        self.draining.set()
        reads: WaitingReads | None = self.made("reads")
        if reads is not None:
            reads.drain()

    def close(self, deadline: Deadline) -> None:
        """Leave all groups and deliver what is queued, in reverse order of making."""
        self.drain()
        with self._lock:
            closers, self._closers = self._closers, []
        for name, closer in reversed(closers):
            try:
                closer(deadline)
            except Exception:
                log.exception("client did not close name=%s", name)

    def _made(self, name: str, make: Callable[["ClientRegistry"], T]) -> T:
        if os.getpid() != self._pid:
            raise RuntimeError(
                "Kafka clients do not survive a fork: make a registry in each process"
            )
        with self._lock:
            if name not in self.__dict__:
                client: Any = make(self)
                self.__dict__[name] = client
                if hasattr(client, "close"):
                    self._closers.append((name, client.close))
            made: T = self.__dict__[name]
            return made

    def _consumer_instance(
        self, description: InstanceDescription, reads: WaitingReads
    ) -> ConsumerInstance:
        try:
            return ConsumerInstance(
                description,
                config.consumer_config(self.settings),
                self.draining,
                reads,
                _free_consumer,
            )
        except KafkaException as failure:
            raise because(InvalidConsumerConfig, error_of(failure).str()) from failure


def _free_consumer(configuration: dict[str, Any]) -> Consumer:
    with free_threads():
        return Consumer(configuration)
