"""The body of a v2 produce request, and the members of records that a request may opt in to."""

import functools
from typing import Annotated, Any

import msgspec

from kafka_rest.api.envelopes import (
    Placed,
    ProduceBody,
    ProduceEnvelope,
    Read,
    SchemaId,
    plain_body,
    produce_body,
    required,
)
from kafka_rest.api.request import Call
from kafka_rest.api.v2.envelopes import present
from kafka_rest.api.v2.shapes import INCLUDABLE
from kafka_rest.api.v2.timestamps import record_milliseconds
from kafka_rest.core.produce import NO_SCHEMA, JsonRecords, SchemaChoice
from kafka_rest.errors import SerializationFailed, Unprocessable, because
from kafka_rest.formats import FORMATS
from kafka_rest.formats.embedded import ConversionError
from kafka_rest.kafka.texts import uncut
from kafka_rest.records import Headers, SchemaReference


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Record(Placed, forbid_unknown_fields=True, gc=False):
    """A record that may have what v1's have not."""

    headers: list[_Header] | None = None
    timestamp: int | str | None = None


class _Reference(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    subject: str
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _Produce(ProduceEnvelope, forbid_unknown_fields=True):
    # A fraction is no id of any schema, but no wrong type either (reference behaviour).
    key_schema_id: SchemaId | float | None = None  # type: ignore[assignment]
    value_schema_id: SchemaId | float | None = None  # type: ignore[assignment]
    key_schema_references: list[_Reference] | None = None
    value_schema_references: list[_Reference] | None = None
    records: list[_Record] | None = None


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """What most requests are: records without anything said about schemas, headers or times."""

    records: list[Placed]


_NOTHING: frozenset[str] = frozenset()
_produce = msgspec.json.Decoder(_Produce, strict=False)
_plain = msgspec.json.Decoder(_Plain, strict=False)


def produce_reader(format_name: str, include: frozenset[str]) -> Read:
    """What reads produce bodies whose records may have the members to include beside their own."""
    full = functools.partial(produce_records, include=include)
    if include or FORMATS[format_name].schema_type is not None:
        return full

    def read(body: bytes) -> ProduceBody:
        try:
            records = _plain.decode(body).records
        except (msgspec.DecodeError, RecursionError):
            records = []
        # One that is not plain is read as a whole, or refused with its reason.
        return plain_body(records) if records else full(body)

    return read


def produce_records(body: bytes, include: frozenset[str]) -> ProduceBody:
    """The body of a produce call, whose records may have the members to include beside their own.

    Raises: BadRequest, Unprocessable with the field's path.
    """
    envelope = present(_produce, body)
    records = required(envelope.records)
    made = produce_body(envelope, records, [record.partition for record in records])
    return ProduceBody(
        _extended(made.records, records, include),
        _chosen("key", made.key_schema, envelope.key_schema_references),
        _chosen("value", made.value_schema, envelope.value_schema_references),
    )


def _chosen(side: str, choice: SchemaChoice, references: list[_Reference] | None) -> SchemaChoice:
    """What one side says about its schema. Raises: Unprocessable, SerializationFailed."""
    if choice is NO_SCHEMA and not references:
        return choice
    if isinstance(choice.schema_id, float):
        raise because(SerializationFailed, f"{side}_schema_id: no schema has a fraction for an id.")
    if choice.text is not None and choice.schema_id is not None:
        raise Unprocessable(f"{side}_schema: give either it or {side}_schema_id, not both.")
    if not references:
        return choice
    if choice.text is None:
        raise Unprocessable(f"{side}_schema_references: they go with {side}_schema.")
    return choice._replace(
        references=tuple(SchemaReference(r.name, r.subject, r.version) for r in references)
    )


def _extended(columns: JsonRecords, records: list[_Record], include: frozenset[str]) -> JsonRecords:
    """The columns with headers and timestamps, where any record has some."""
    headers = _column([record.headers for record in records], "headers", include)
    if headers is not None:
        columns = columns._replace(headers=[_headers(given, n) for n, given in enumerate(headers)])
    times = _column([record.timestamp for record in records], "timestamp", include)
    if times is not None:
        columns = columns._replace(
            timestamps=[
                None if time is None else record_milliseconds(time, n)
                for n, time in enumerate(times)
            ]
        )
    return columns


def _column(found: list[Any], name: str, include: frozenset[str]) -> list[Any] | None:
    """A member of all records, None where none has it. Raises: Unprocessable if not opted in."""
    if found.count(None) == len(found):
        return None
    if name not in include:
        index = next(n for n, given in enumerate(found) if given is not None)
        raise Unprocessable(
            f"Unrecognized field: {name} (in records[{index}]); the query parameter "
            f"include={name} lets a request have it."
        )
    return found


def _headers(headers: list[_Header] | None, index: int) -> Headers | None:
    if headers is None:
        return None
    encode = FORMATS["binary"].encoder(None).encode
    found: Headers = []
    for number, header in enumerate(headers):
        name = uncut(header.name, f"records[{index}].headers[{number}].name")
        text = bytes(header.value)
        try:
            found.append((name, None if text == b"null" else encode(text)))
        except ConversionError as error:
            raise Unprocessable(
                f"records[{index}].headers[{number}].value: it must be base64: {error}."
            ) from error
    return found


def included(call: Call) -> frozenset[str]:
    """What the query parameter `include` names. Raises: Unprocessable."""
    listed = call.query_text("include")
    return includable(listed, "the query parameter include") if listed else _NOTHING


def includable(listed: str, place: str) -> frozenset[str]:
    """The extra members of records, from a list with commas. Raises: Unprocessable."""
    names = frozenset(name.strip() for name in listed.split(",") if name.strip())
    unknown = names.difference(INCLUDABLE)
    if unknown:
        raise Unprocessable(
            f"{place}: valid are {', '.join(INCLUDABLE)} (was {sorted(unknown)[0][:40]})."
        )
    return names
