"""One client's properties on their way from Java's words to librdkafka's, and plain translators."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Translation:
    """One client's properties: `known` to librdkafka, `warnings` for a person.

    `refused` says what cannot be done, though the user counts on it where connections are secured;
    no text holds a value that may be secret.
    """

    known: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


Translator = Callable[[Translation, str, str], None]


def renamed(name: str) -> Translator:
    """Another name, the same value."""

    def translate(into: Translation, _key: str, value: str) -> None:
        into.known[name] = value

    return translate


def no_counterpart(why: str) -> Translator:
    """Nothing to translate to."""

    def translate(into: Translation, key: str, _value: str) -> None:
        into.warnings.append(f"{key} has no effect: {why}")

    return translate


def quietly(_into: Translation, _key: str, _value: str) -> None:
    """What a Java client needs and librdkafka does not."""
