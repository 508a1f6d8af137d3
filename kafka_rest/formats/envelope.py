"""The schema registry's envelope around a stored key or value: a zero byte and the schema's id in
four bytes, big-endian, then what the format puts there.
"""

from kafka_rest.formats.embedded import DecodeError

MAGIC = 0
HEADER_BYTES = 5


def header(schema_id: int) -> bytes:
    """The bytes before the payload of a value written with a schema."""
    return bytes([MAGIC]) + schema_id.to_bytes(4, "big")


def schema_id_of(data: bytes, format_name: str) -> int:
    """The id in the envelope; the payload begins at `HEADER_BYTES`. Raises: DecodeError."""
    if len(data) < HEADER_BYTES or data[0] != MAGIC:
        raise DecodeError(
            f"Error deserializing {format_name} message for id -1: no schema registry envelope"
        )
    return int.from_bytes(data[1:HEADER_BYTES], "big")
