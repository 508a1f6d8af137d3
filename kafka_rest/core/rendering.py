"""The answer of a read while it is made: records decoded and rendered batch by batch, column by
column, into one buffer.

A record that cannot be decoded is looked for one by one, and only when its batch has failed.
"""

from collections.abc import Callable
from io import SEEK_CUR, BytesIO
from itertools import chain

from kafka_rest.errors import SchemaRegistryFailure, Undecodable, because
from kafka_rest.formats.embedded import DecodeError, EmbeddedFormat, FindSchema
from kafka_rest.kafka.messages import ConsumedRecords, UnreadableHeaders
from kafka_rest.metrics import Row

NULL = b"null"

Render = Callable[[ConsumedRecords, list[bytes], list[bytes]], bytes]
"""Renders records with the JSON texts of their keys and values, a comma behind each."""

_FAILURES = (DecodeError, SchemaRegistryFailure)


class Rendering:
    """A JSON array of records that grows in place: payload is held once, however long it gets."""

    def __init__(
        self,
        embedded: EmbeddedFormat,
        find_schema: FindSchema,
        render: Render,
        counters: tuple[Row, ...] | None = None,
    ) -> None:
        self._embedded, self._find_schema, self._render = embedded, find_schema, render
        self._out = BytesIO()
        self._out.write(b"[")
        # Of records and their bytes, for what an answer has brought in the end.
        self._counters = counters
        self._record_count = self._byte_count = 0

    @property
    def empty(self) -> bool:
        """True while no record has been rendered."""
        return self._out.tell() == 1

    def take(self, records: ConsumedRecords) -> int:
        """Render records up to one that cannot be decoded; their number.

        Raises: Undecodable where it is the first.
        """
        try:
            keys, values = self._texts(records.keys), self._texts(records.values)
        except _FAILURES:
            keys, values = self._texts_one_by_one(records)
            if len(values) < len(records):
                records = records.first(len(values))
        try:
            rendered = self._render(records, keys, values)
        except UnreadableHeaders as error:
            if not error.index:
                raise because(Undecodable, f"{error} ({records.about(0)})") from error
            records = records.first(error.index)
            rendered = self._render(records, keys[: len(records)], values[: len(records)])
        self._out.write(rendered)
        self._record_count += len(records)
        self._byte_count += sum(map(len, filter(None, chain(records.keys, records.values))))
        return len(records)

    def text(self) -> bytes:
        """The whole array; to be called once, at the end."""
        if self._counters is not None:
            record_count, byte_count = self._counters
            record_count[0] += self._record_count
            byte_count[0] += self._byte_count
        if not self.empty:
            # The comma behind the last record.
            self._out.seek(-1, SEEK_CUR)
        self._out.write(b"]")
        # Given away as it is, without a copy.
        return self._out.getvalue()

    def _texts(self, column: list[bytes | None]) -> list[bytes]:
        if len(column) == 1:
            # Many a read brings one record, for which a column is no saving.
            return [self._text(column[0])]
        nulls = column.count(None)
        if nulls == len(column):
            return [NULL] * nulls
        if not nulls:
            return self._embedded.decode_all(column, self._find_schema)  # type: ignore[arg-type]
        stored = [data for data in column if data is not None]
        texts = iter(self._embedded.decode_all(stored, self._find_schema))
        return [NULL if data is None else next(texts) for data in column]

    def _texts_one_by_one(self, records: ConsumedRecords) -> tuple[list[bytes], list[bytes]]:
        """The keys and values before the first record of which one is refused."""
        keys: list[bytes] = []
        values: list[bytes] = []
        for key, value in zip(records.keys, records.values, strict=True):
            try:
                texts = self._text(key), self._text(value)
            except _FAILURES as error:
                if not values:
                    raise because(Undecodable, f"{error} ({records.about(0)})") from error
                break
            keys.append(texts[0])
            values.append(texts[1])
        return keys, values

    def _text(self, data: bytes | None) -> bytes:
        return NULL if data is None else self._embedded.decode(data, self._find_schema)
