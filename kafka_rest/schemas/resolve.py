"""Schemas by id or by registration, with their references, through bounded caches.

A cold schema costs one round trip however many threads ask for it at once; failures are not
remembered, except that an unknown id is not asked for again within a second.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kafka_rest.errors import RestError, SchemaRegistryFailure, because
from kafka_rest.records import DEFAULT_SCHEMA_TYPE, Clock, Deadline, Schema, SchemaReference

if TYPE_CHECKING:
    from kafka_rest.schemas.client import SchemaRegistryClient

T = TypeVar("T")

# A record with an id that nobody knows is read again and again; it must not hammer the registry.
UNKNOWN_ID_SECONDS = 1.0
REFERENCE_DEPTH = 32


class _Flights(Generic[T]):
    """A bounded cache in which concurrent first uses of a key share one call."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._flights: dict[Hashable, Future[T]] = {}
        self.hits = self.calls = 0

    def get(self, key: Hashable, fetch: Callable[[], T], deadline: Deadline) -> T:
        """The value; fetched by this thread, or awaited from the thread that fetches it already."""
        found = self._values.get(key)
        if found is not None:
            self.hits += 1
            return found
        deadline.require_blocking()
        with self._lock:
            landed = self._values.get(key)
            if landed is not None:
                # Fetched by another thread since the look above.
                return landed
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            return self._await(flight, deadline)
        return self._fetch(key, fetch, flight)

    def _fetch(self, key: Hashable, fetch: Callable[[], T], flight: "Future[T]") -> T:
        self.calls += 1
        try:
            value = fetch()
        except BaseException as error:
            with self._lock:
                del self._flights[key]
            flight.set_exception(error)
            raise
        with self._lock:
            del self._flights[key]
            self._values[key] = value
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        flight.set_result(value)
        return value

    @staticmethod
    def _await(flight: "Future[T]", deadline: Deadline) -> T:
        try:
            return flight.result(deadline.left())
        except WaitTimeout:
            raise because(
                SchemaRegistryFailure, "no answer from the schema registry in time."
            ) from None


class SchemaResolver:
    """What the flows ask for schemas. Thread-safe; owns its client.

    Raises: SchemaRegistryFailure, which says whether a lookup or a registration failed, and why.
    """

    def __init__(
        self, client: "SchemaRegistryClient", cache_size: int, clock: Clock = time.monotonic
    ) -> None:
        self._client, self._clock = client, clock
        self._by_id: _Flights[Schema] = _Flights(cache_size)
        # Registration is per subject: a text that one subject has is new to the next.
        self._by_text: _Flights[Schema] = _Flights(cache_size)
        self._by_use: _Flights[Schema] = _Flights(cache_size)
        self._unknown: OrderedDict[int, tuple[float, RestError]] = OrderedDict()
        self._in_subject: _Flights[bool] = _Flights(cache_size)
        self._cache_size = cache_size
        self._caches = (self._by_id, self._by_text, self._by_use)

    def by_id(self, schema_id: int, deadline: Deadline) -> Schema:
        """The schema with an id, references resolved."""
        refused = self._unknown.get(schema_id)
        if refused is not None and self._clock() - refused[0] < UNKNOWN_ID_SECONDS:
            raise refused[1]
        try:
            return self._by_id.get(schema_id, lambda: self._look_up(schema_id, deadline), deadline)
        except SchemaRegistryFailure as error:
            self._unknown[schema_id] = (self._clock(), error)
            while len(self._unknown) > self._cache_size:
                self._unknown.popitem(last=False)
            raise

    def register(
        self,
        subject: str,
        schema_type: str,
        text: str,
        deadline: Deadline,
        references: tuple[SchemaReference, ...] = (),
    ) -> Schema:
        """Register a text under a subject (or find it there); the schema with its id."""
        key = (subject, schema_type, text, references)

        def register() -> Schema:
            schema_id = self._client.register(subject, schema_type, text, references, deadline)
            return Schema(schema_id, schema_type, text, self._resolved(references, deadline))

        return self._by_text.get(key, register, deadline)

    def used_before(
        self, use: Hashable, register: Callable[[], Schema], deadline: Deadline
    ) -> Schema:
        """The schema that `register` brought for the same use: no check is done twice."""
        return self._by_use.get(use, register, deadline)

    def unregistered(
        self,
        schema_type: str,
        text: str,
        references: tuple[SchemaReference, ...],
        deadline: Deadline,
    ) -> Schema:
        """A schema that has no id yet, references resolved."""
        if not references:
            return Schema(-1, schema_type, text)
        key = (schema_type, text, references)
        return self._by_text.get(
            key,
            lambda: Schema(-1, schema_type, text, self._resolved(references, deadline)),
            deadline,
        )

    def require_in_subject(self, subject: str, schema: Schema, deadline: Deadline) -> None:
        """Make sure that a schema is registered under a subject. Raises: SchemaRegistryFailure."""

        def look_up() -> bool:
            if subject not in self._client.subjects_of(schema.schema_id, deadline):
                raise because(
                    SchemaRegistryFailure,
                    f"(lookup of id {schema.schema_id} under subject {subject}): it is not there.",
                )
            return True

        self._in_subject.get((subject, schema.schema_id), look_up, deadline)

    @property
    def calls(self) -> int:
        """Calls to the schema registry so far."""
        return self._by_id.calls + self._by_text.calls

    @property
    def hits(self) -> int:
        """Questions for a schema that a cache answered."""
        return sum(cache.hits for cache in self._caches)

    @property
    def misses(self) -> int:
        """Questions that no cache could answer; what a registration asks on its way counts too."""
        return sum(cache.calls for cache in self._caches)

    def close(self, _deadline: Deadline) -> None:
        """Close the client's connections."""
        self._client.close()

    def _look_up(self, schema_id: int, deadline: Deadline) -> Schema:
        found = self._client.schema_by_id(schema_id, deadline)
        text = found.get("schema")
        if not isinstance(text, str):
            raise because(
                SchemaRegistryFailure, f"(lookup of id {schema_id}): the answer holds no schema."
            )
        references = self._resolved(_references(found), deadline)
        schema_type = str(found.get("schemaType", DEFAULT_SCHEMA_TYPE))
        return Schema(schema_id, schema_type, text, references)

    def _resolved(
        self, references: tuple[SchemaReference, ...], deadline: Deadline
    ) -> tuple[SchemaReference, ...]:
        """The references with their texts and their own references, each before its users."""
        done: dict[str, SchemaReference] = {}
        for reference in references:
            self._resolve(reference, deadline, done, 0)
        return tuple(done.values())

    def _resolve(
        self,
        reference: SchemaReference,
        deadline: Deadline,
        done: dict[str, SchemaReference],
        depth: int,
    ) -> None:
        if depth > REFERENCE_DEPTH:
            raise because(SchemaRegistryFailure, f"the references of {reference.name} have no end.")
        found = self._client.version(reference.subject, reference.version, deadline)
        for inner in _references(found):
            if inner.name not in done:
                self._resolve(inner, deadline, done, depth + 1)
        done[reference.name] = reference._replace(text=str(found.get("schema", "")))


def _references(found: Mapping[str, Any]) -> tuple[SchemaReference, ...]:
    listed = found.get("references") or []
    try:
        return tuple(SchemaReference(r["name"], r["subject"], int(r["version"])) for r in listed)
    except (KeyError, TypeError, ValueError) as error:
        raise because(SchemaRegistryFailure, "an answer holds malformed references.") from error
