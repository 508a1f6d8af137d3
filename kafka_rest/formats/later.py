"""An embedded format whose module is imported at its first use. Not for formats that need nothing
beyond what is there anyway.
"""

from importlib import import_module
from typing import Any

from kafka_rest.formats.embedded import EmbeddedFormat

_KNOWN = {"name", "schema_type"}
_METHODS = [
    name for name in vars(EmbeddedFormat) if not name.startswith("_") and name not in _KNOWN
]


class _Later:
    """Stands for the format; what it does becomes attributes of its own, so that later uses cost
    nothing more.
    """

    def __init__(self, name: str, schema_type: str, path: str) -> None:
        self.name, self.schema_type = name, schema_type
        self._path = path

    def __getattr__(self, method: str) -> Any:
        if method not in _METHODS:
            raise AttributeError(method)
        # Two threads may both get here: the import is done once, and either format is as good.
        module, _, kind = self._path.rpartition(".")
        made = getattr(import_module(module), kind)()
        for each in _METHODS:
            setattr(self, each, getattr(made, each))
        return getattr(made, method)


def later(name: str, schema_type: str, path: str) -> EmbeddedFormat:
    """The format of the class at `path`; its first use takes up to a tenth of a second more.

    Name and schema type must be those of the class.
    """
    made: Any = _Later(name, schema_type, path)
    embedded: EmbeddedFormat = made
    return embedded
