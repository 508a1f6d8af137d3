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

from confluent_kafka import KafkaException

from kafka_rest import settings as s
from kafka_rest.errors import InvalidConsumerConfig, because
from kafka_rest.kafka import config
from kafka_rest.kafka.affinity import free_threads
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.kafka.description import InstanceDescription
from kafka_rest.kafka.failures import error_of
from kafka_rest.kafka.instances import ConsumerInstances, InstanceLimits
from kafka_rest.kafka.metadata import ClusterMetadata
from kafka_rest.kafka.producers import SharedProducer
from kafka_rest.kafka.simple import SimpleConsumers
from kafka_rest.kafka.waiting import WaitingReads
from kafka_rest.pinning import mint_instance
from kafka_rest.records import Deadline
from kafka_rest.schemas.resolve import SchemaResolver
from kafka_rest.schemas.subjects import STRATEGIES

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_INSTANCE_SECONDS = 5.0


class FlowLimits(NamedTuple):
    """The bounds that the flows look at on every request, in seconds, bytes and records."""

    produce_seconds: float
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

    def __init__(self, settings: s.Settings, slot: int = 0, slots: int = 1) -> None:
        self.settings, self.slot, self.slots = settings, slot, slots
        self.draining = threading.Event()
        self.limits = FlowLimits(
            produce_seconds=settings[s.PRODUCE_TIMEOUT_MS] / 1000,
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
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._closers: list[tuple[str, Callable[[Deadline], None]]] = []

    # -- the clients
    # ---------------------------------------------------------------------------------

    def _metadata(self) -> ClusterMetadata:
        max_age = self.settings[s.METADATA_MAX_AGE_MS] / 1000
        return ClusterMetadata(
            config.admin_config(self.settings), self.limits.metadata_seconds, max_age
        )

    def _producer(self) -> SharedProducer:
        return SharedProducer(config.producer_config(self.settings))

    def _schemas(self) -> SchemaResolver:
        # Imported here: a server without schemas is spared the HTTP client's memory, 6 MB.
        from kafka_rest.schemas.client import SchemaRegistryClient

        urls = self.settings[s.SCHEMA_REGISTRY_URL]
        client = SchemaRegistryClient(
            urls,
            self.settings[s.SCHEMA_REGISTRY_TIMEOUT_MS] / 1000,
            self.settings[s.SCHEMA_REGISTRY_USER_INFO],
        )
        return SchemaResolver(client, self.settings[s.SCHEMA_REGISTRY_CACHE_SIZE])

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
        )

    metadata = _Lazy(_metadata)
    producer = _Lazy(_producer)
    schemas = _Lazy(_schemas)
    simple_consumers = _Lazy(_simple_consumers)
    reads = _Lazy(_reads)
    instances = _Lazy(_instances)

    def mint_instance(self, group: str) -> str:
        """A name for an unnamed instance, of which this worker is the owner."""
        server = self.settings[s.ID]
        prefix = f"rest-consumer-{server}-" if server else "rest-consumer-"
        return mint_instance(group, self.slot, self.slots, prefix)

    # -- life
    # ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make what nearly every request needs, so that the first one does not wait for it."""
        for name in ("metadata", "producer", "instances"):
            getattr(self, name)

    def drain(self) -> None:
        """Tell reads to answer with what they have; callable from a signal handler."""
        self.draining.set()
        reads: WaitingReads | None = self.__dict__.get("reads")
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
            with free_threads():
                return ConsumerInstance(
                    description, config.consumer_config(self.settings), self.draining, reads
                )
        except KafkaException as failure:
            raise because(InvalidConsumerConfig, error_of(failure).str()) from failure
