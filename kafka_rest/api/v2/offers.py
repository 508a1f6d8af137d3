"""What each v2 endpoint reads and writes: the table of media types."""

from kafka_rest.formats import FORMATS
from kafka_rest.media import Produced, Variant

V2 = "application/vnd.kafka.v2+json"
JSON = "application/json"

VERSION = "v2"


def embedded_type(format_name: str) -> str:
    """The media type of an embedded format."""
    return f"application/vnd.kafka.{format_name}.v2+json"


BINARY = "binary"
EMBEDDED = tuple(FORMATS)

# What every JSON client sends is taken where it can mean one thing only.
_ANY = frozenset({V2, JSON, *map(embedded_type, EMBEDDED)})
_ANSWERS = (
    Produced(V2, 0.9),
    *(Produced(embedded_type(name), 0.1) for name in EMBEDDED),
)
_AND_JSON = (*_ANSWERS, Produced(JSON, 0.05))

METADATA = (Variant(VERSION, frozenset({V2}), (Produced(V2, 0.9),)),)
BROKERS = (Variant(VERSION, None, (Produced(V2, 0.9),)),)
# Beside v1's views of the same paths, where application/json is v1's.
SHARED_CONSUMERS = (Variant(VERSION, _ANY - {JSON}, _ANSWERS),)
CONSUMERS = (Variant(VERSION, _ANY, _AND_JSON),)

PRODUCE = tuple(
    Variant(VERSION, frozenset({embedded_type(name)}), (Produced(V2, 0.9),), name)
    for name in EMBEDDED
)


def _reading() -> tuple[Variant, ...]:
    """The Accept header picks the format; application/json is the instance's own."""
    binary = (Produced(embedded_type(BINARY), 1.0), Produced(V2, 0.9))
    others = (name for name in EMBEDDED if name != BINARY)
    return (
        Variant(VERSION, _ANY, binary, BINARY),
        *(Variant(VERSION, _ANY, (Produced(embedded_type(n), 0.1),), n) for n in others),
        Variant(VERSION, _ANY, (Produced(JSON, 0.05),)),
    )


READ = _reading()
