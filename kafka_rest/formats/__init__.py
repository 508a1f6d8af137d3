"""The embedded formats: how a JSON value in a request becomes bytes in Kafka, and back.

To add a format, write a module with an `EmbeddedFormat` and add a row to `FORMATS`. Not for
fetching schemas: a format that needs one is handed it.
"""

from kafka_rest.formats import binary, json, string
from kafka_rest.formats.embedded import EmbeddedFormat
from kafka_rest.formats.later import later

# A format with a schema comes with a library that most servers never need: some 15 MB for all
# three, in each worker.
_ALL: tuple[EmbeddedFormat, ...] = (
    binary.Binary(),
    json.Json(),
    later("avro", "AVRO", "kafka_rest.formats.avro.Avro"),
    later("jsonschema", "JSON", "kafka_rest.formats.jsonschema.JsonSchema"),
    later("protobuf", "PROTOBUF", "kafka_rest.formats.protobuf.Protobuf"),
    string.String(),
)

FORMATS: dict[str, EmbeddedFormat] = {embedded.name: embedded for embedded in _ALL}
