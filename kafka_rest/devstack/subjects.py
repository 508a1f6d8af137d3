"""The contents of the embedded schema registry: schemas with ids, subjects with versions,
compatibility levels.

Plain values under one lock; not for HTTP. Errors carry the real registry's codes.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kafka_rest.devstack import compatibility

LEVELS = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
TYPES = ("AVRO", "JSON", "PROTOBUF")


class RegistryError(Exception):
    """An answer with one of the real registry's error codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return self.code if self.code < 600 else self.code // 100


class Reference(NamedTuple):
    """A reference to a version of a subject."""

    name: str
    subject: str
    version: int


class Registered(NamedTuple):
    """A schema: its type, text and references."""

    schema_type: str
    text: str
    references: tuple[Reference, ...] = ()

    def rendered(self) -> dict[str, Any]:
        """The members of an answer; the type of Avro is left out, as in the real one."""
        body: dict[str, Any] = {"schema": self.text}
        if self.schema_type != "AVRO":
            body["schemaType"] = self.schema_type
        if self.references:
            body["references"] = [r._asdict() for r in self.references]
        return body


@dataclass
class Version:
    """A version of a subject."""

    schema_id: int
    deleted: bool = False


@dataclass
class Subject:
    """The versions of a subject by number, and its own compatibility level, if any."""

    versions: dict[int, Version] = field(default_factory=dict)
    level: str | None = None

    @property
    def live(self) -> list[int]:
        """The numbers that are not deleted."""
        return [number for number, version in self.versions.items() if not version.deleted]


class Subjects:
    """Everything the registry holds."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._schemas: dict[int, Registered] = {}
        self._ids: dict[Any, int] = {}
        self._subjects: dict[str, Subject] = {}
        self.level = "BACKWARD"

    def register(self, name: str, schema: Registered) -> int:
        """Register a schema under a subject, or find it there; its id."""
        with self._lock:
            self._validate(schema)
            identity = self._identity(schema)
            subject = self._subjects.setdefault(name, Subject())
            known = self._ids.get(identity)
            if any(subject.versions[n].schema_id == known for n in subject.live):
                assert known is not None
                return known
            problem = self._incompatibility(name, schema)
            if problem:
                raise RegistryError(
                    409,
                    f"Schema being registered is incompatible with an earlier schema: {problem}",
                )
            if known is None:
                known = self._ids[identity] = len(self._schemas) + 1
                self._schemas[known] = schema
            subject.versions[max(subject.versions, default=0) + 1] = Version(known)
            return known

    def look_up(self, name: str, schema: Registered) -> tuple[int, int]:
        """Version and id of a schema under a subject."""
        with self._lock:
            subject = self._subject(name)
            self._validate(schema)
            known = self._ids.get(self._identity(schema))
            for number in subject.live:
                if subject.versions[number].schema_id == known:
                    return number, subject.versions[number].schema_id
            raise RegistryError(40403, "Schema not found")

    def by_id(self, schema_id: int) -> Registered:
        """The schema with an id."""
        found = self._schemas.get(schema_id)
        if found is None:
            raise RegistryError(40403, f"Schema {schema_id} not found")
        return found

    def places(self, schema_id: int) -> list[tuple[str, int]]:
        """The subjects and versions that have an id."""
        with self._lock:
            self.by_id(schema_id)
            return [
                (name, number)
                for name, subject in sorted(self._subjects.items())
                for number in subject.live
                if subject.versions[number].schema_id == schema_id
            ]

    def names(self, deleted: bool) -> list[str]:
        """The subjects that have versions."""
        with self._lock:
            return sorted(
                n for n, s in self._subjects.items() if (s.versions if deleted else s.live)
            )

    def versions(self, name: str) -> list[int]:
        """The versions of a subject."""
        with self._lock:
            return self._subject(name).live

    def version(self, name: str, text: str) -> tuple[int, int, Registered]:
        """Version, id and schema of one version of a subject; `latest` is the newest."""
        with self._lock:
            number = self._number(name, text)
            schema_id = self._subjects[name].versions[number].schema_id
            return number, schema_id, self._schemas[schema_id]

    def delete_version(self, name: str, text: str, permanent: bool) -> int:
        """Delete a version: softly first, then permanently."""
        with self._lock:
            subject = self._subject(name, deleted=permanent)
            number = self._number(name, text, deleted=permanent)
            self._refuse_if_referenced(name, number)
            self._remove(subject, number, permanent, f"Subject '{name}' Version {number}")
            return number

    def delete_subject(self, name: str, permanent: bool) -> list[int]:
        """Delete all versions of a subject."""
        with self._lock:
            subject = self._subject(name, deleted=permanent)
            numbers = sorted(subject.versions) if permanent else subject.live
            for number in numbers:
                self._refuse_if_referenced(name, number)
            for number in numbers:
                self._remove(subject, number, permanent, f"Subject '{name}'")
            if permanent:
                del self._subjects[name]
            return numbers

    def subject_level(self, name: str) -> str | None:
        """A subject's own compatibility level."""
        return self._subjects[name].level if name in self._subjects else None

    def set_subject_level(self, name: str, level: str | None) -> None:
        """Set or (None) forget a subject's own level."""
        with self._lock:
            self._subjects.setdefault(name, Subject()).level = level

    def problem(self, name: str, text: str, schema: Registered) -> str:
        """Why a schema is not compatible with a version of a subject; "" if it is."""
        with self._lock:
            self._validate(schema)
            _, _, old = self.version(name, text)
            return self._check(self._level(name), schema, [old])

    def _subject(self, name: str, deleted: bool = False) -> Subject:
        subject = self._subjects.get(name)
        if subject is None or not (subject.versions if deleted else subject.live):
            raise RegistryError(40401, f"Subject '{name}' not found.")
        return subject

    def _number(self, name: str, text: str, deleted: bool = False) -> int:
        subject = self._subject(name, deleted)
        if text in ("latest", "-1"):
            return max(subject.live)
        if not text.isdigit() or not 0 < int(text) < 2**31:
            raise RegistryError(
                42202,
                f"The specified version '{text}' is not a valid version id. Allowed values are "
                f"between "
                '[1, 2^31-1] and the string "latest"',
            )
        if int(text) not in (subject.versions if deleted else subject.live):
            raise RegistryError(40402, f"Version {text} not found.")
        return int(text)

    @staticmethod
    def _remove(subject: Subject, number: int, permanent: bool, what: str) -> None:
        if not permanent:
            subject.versions[number].deleted = True
        elif subject.versions[number].deleted:
            del subject.versions[number]
        else:
            raise RegistryError(
                40407, f"{what} was not deleted first before being permanently deleted"
            )

    def _refuse_if_referenced(self, name: str, number: int) -> None:
        for other in self._subjects.values():
            for live in other.live:
                for reference in self._schemas[other.versions[live].schema_id].references:
                    if (reference.subject, reference.version) == (name, number):
                        raise RegistryError(
                            42206,
                            f"One or more references exist to the schema {name} version {number}",
                        )

    def _identity(self, schema: Registered) -> tuple[str, str, tuple[Reference, ...]]:
        """What makes two schemas the same: white space and short forms do not tell them apart."""
        text = compatibility.canonical(schema.schema_type, schema.text, self._texts(schema))
        return schema.schema_type, text, schema.references

    def _validate(self, schema: Registered) -> None:
        compatibility.validate(schema.schema_type, schema.text, self._texts(schema))

    def _texts(self, schema: Registered, depth: int = 0) -> Mapping[str, str]:
        """The texts of the references by name, each before its users."""
        found: dict[str, str] = {}
        if depth > 32:
            raise RegistryError(42201, "Invalid schema: its references have no end")
        for reference in schema.references:
            try:
                _, _, referenced = self.version(reference.subject, str(reference.version))
            except RegistryError as error:
                raise RegistryError(42201, f"Invalid schema: {error.message}") from error
            found.update(self._texts(referenced, depth + 1))
            found[reference.name] = referenced.text
        return found

    def _level(self, name: str) -> str:
        return self.subject_level(name) or self.level

    def _incompatibility(self, name: str, schema: Registered) -> str:
        subject = self._subjects[name]
        older = [
            self._schemas[subject.versions[number].schema_id] for number in reversed(subject.live)
        ]
        level = self._level(name)
        return self._check(level, schema, older if level.endswith("TRANSITIVE") else older[:1])

    def _check(self, level: str, schema: Registered, older: list[Registered]) -> str:
        for old in older:
            if old.schema_type != schema.schema_type:
                if level != "NONE":
                    return f"the schema type changes from {old.schema_type} to {schema.schema_type}"
            elif schema.schema_type == "AVRO":
                new, before = self._texts(schema), self._texts(old)
                problem = compatibility.avro_problem(level, (schema.text, new), (old.text, before))
                if problem:
                    return problem
        return ""
