"""The embedded formats: how a JSON value in a request becomes bytes in Kafka, and back.

To add a format, write a module with an `EmbeddedFormat` and add a row to `FORMATS`. Not for
fetching schemas: a format that needs one is handed it.
"""

from kafka_rest.formats import avro, binary, json, jsonschema, protobuf, string
from kafka_rest.formats.embedded import EmbeddedFormat

_ALL: tuple[EmbeddedFormat, ...] = (
    binary.Binary(),
    json.Json(),
    avro.Avro(),
    jsonschema.JsonSchema(),
    protobuf.Protobuf(),
    string.String(),
)

FORMATS: dict[str, EmbeddedFormat] = {embedded.name: embedded for embedded in _ALL}
