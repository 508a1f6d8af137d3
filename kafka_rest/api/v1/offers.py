"""What each v1 endpoint reads and writes: the table of media types."""

from kafka_rest.formats import FORMATS
from kafka_rest.media import Produced, Variant

V1 = "application/vnd.kafka.v1+json"
KAFKA = "application/vnd.kafka+json"
JSON = "application/json"
OCTETS = "application/octet-stream"

VERSION = "v1"


def embedded_type(format_name: str) -> str:
    """The media type of an embedded format."""
    return f"application/vnd.kafka.{format_name}.v1+json"


BINARY = "binary"
# v1 knew three formats; later ones came with v2.
EMBEDDED = tuple(name for name in ("binary", "avro", "json") if name in FORMATS)

_PLAIN = frozenset({V1, KAFKA, JSON, OCTETS})
_ANY_EMBEDDED = _PLAIN | {embedded_type(name) for name in EMBEDDED}
_ANSWERS = (Produced(V1, 0.9), Produced(KAFKA, 0.8), Produced(JSON, 0.5))


def _answers_and(*format_names: str) -> tuple[Produced, ...]:
    return _ANSWERS + tuple(Produced(embedded_type(name), 0.1) for name in format_names)


ROOT = (Variant(VERSION, _PLAIN, _ANSWERS),)
BROKERS = (Variant(VERSION, None, _ANSWERS),)
TOPICS = (Variant(VERSION, _PLAIN, _ANSWERS),)
PARTITIONS = (Variant(VERSION, _PLAIN, _answers_and("binary", "avro")),)
CONSUMERS = (Variant(VERSION, _ANY_EMBEDDED, _answers_and(*EMBEDDED)),)


def _producing(produces: tuple[Produced, ...]) -> tuple[Variant, ...]:
    """The request's type picks the format; one that names none is binary."""
    plain = Variant(VERSION, _PLAIN | {embedded_type(BINARY)}, produces, BINARY)
    others = (name for name in EMBEDDED if name != BINARY)
    return plain, *(Variant(VERSION, frozenset({embedded_type(n)}), produces, n) for n in others)


def _reading(consumes: frozenset[str]) -> tuple[Variant, ...]:
    """The Accept header picks the format; one that names none is binary."""
    plain = Variant(VERSION, consumes, (Produced(embedded_type(BINARY), 1.0), *_ANSWERS), BINARY)
    others = (name for name in EMBEDDED if name != BINARY)
    return plain, *(
        Variant(VERSION, consumes, (Produced(embedded_type(n), 0.1),), n) for n in others
    )


PRODUCE_TO_TOPIC = _producing(_ANSWERS)
PRODUCE_TO_PARTITION = _producing(_answers_and("binary", "avro"))
READ_PARTITION = _reading(_PLAIN)
READ_TOPIC = _reading(_ANY_EMBEDDED)
