"""Settings from their sources: defaults, properties file, environment, command line, in rising
precedence.

All mistakes are collected, so that one start names them all.
"""

import codecs
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import javaproperties

from kafka_rest.settings import checks
from kafka_rest.settings.secrets import shown, without_credentials
from kafka_rest.settings.table import TABLE
from kafka_rest.settings.types import Setting

T = TypeVar("T")

DEFAULT = "default"
COMMAND_LINE = "command line"
VARIABLE_PREFIX = "KAFKA_REST_"
# Variables of that prefix that are no settings: where the file is, and the tests' own.
OTHER_VARIABLES = ("KAFKA_REST_CONFIG", "KAFKA_REST_TEST_")
CLIENT_PREFIXES = ("client.", "producer.", "consumer.", "admin.")
REGISTRY_PREFIX = "schema.registry."
_SIMILARITY = 0.85
_NAME = re.compile(r"[\w.-]*")
# What some editors put before the first line; it would be part of the first key.
_MARK = codecs.BOM_UTF8.decode("latin-1")


class Mistake(NamedTuple):
    """A value that cannot be used, and what would be valid."""

    key: str
    value: str
    origin: str
    expected: str

    def __str__(self) -> str:
        # What would be valid may be said with a piece of the value.
        expected = without_credentials(self.expected)
        return f"{self.origin}: {self.key}={shown(self.key, self.value)} must be {expected}"


class SettingsError(Exception):
    """The settings cannot be used; `mistakes` names all of them."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


class Given(NamedTuple):
    """A value as given, and where."""

    value: str
    origin: str


@dataclass(frozen=True)
class Settings:
    """All settings of a server; `settings[ROW]` is the typed value of a row of the table."""

    _values: Mapping[str, Any]
    _given: Mapping[str, Given] = field(default_factory=dict)

    def __getitem__(self, row: Setting[T]) -> T:
        value: T = self._values[row.name]
        return value

    def origin(self, key: str) -> str:
        """Where the value of a key comes from."""
        return self._given[key].origin if key in self._given else DEFAULT

    def given(self, row: Setting[Any]) -> str:
        """The text of a row's value, as given or by default."""
        return self._given[row.name].value if row.name in self._given else row.default

    @property
    def passed_through(self) -> dict[str, str]:
        """What is none of the table's: settings for the Kafka clients, with or without a prefix."""
        return {key: given.value for key, given in self._given.items() if key not in TABLE}

    def __repr__(self) -> str:
        # The values of secrets must not get into a log by way of a traceback.
        return f"Settings({', '.join(sorted(self._given))})"


def load(
    path: str | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
) -> Settings:
    """Read the settings: `path` of a Java properties file, environment, `KEY=VALUE` overrides.

    Raises: SettingsError naming all mistakes.
    """
    mistakes: list[Mistake] = []
    given = (
        _from_file(path, mistakes)
        | _from_environment(environ or {})
        | _from_overrides(overrides, mistakes)
    )
    values: dict[str, Any] = {}
    for row in TABLE.values():
        text, origin = given.get(row.name, Given(row.default, DEFAULT))
        try:
            values[row.name] = row.parse(text.strip())
        except ValueError as error:
            mistakes.append(Mistake(row.name, text, origin, str(error)))
    settings = Settings(values, given)
    if not mistakes:
        mistakes += [
            Mistake(key, settings.given(TABLE[key]), settings.origin(key), expected)
            for check in checks.CHECKS
            for key, expected in check(settings)
        ]
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def warnings(settings: Settings) -> list[str]:
    """What a person should look at: settings without effect, and keys that look misspelt."""
    found = [
        f"{key} is set ({settings.origin(key)}) and without effect here: {TABLE[key].ignored}"
        for key in settings._given
        if key in TABLE and TABLE[key].ignored
    ]
    for key in settings.passed_through:
        if not key.startswith(CLIENT_PREFIXES):
            close = difflib.get_close_matches(key, TABLE, 1, _SIMILARITY)
            if close:
                found.append(
                    f"{key} ({settings.origin(key)}) is no setting of this server; was {close[0]} "
                    f"meant?"
                )
            elif key.startswith(REGISTRY_PREFIX):
                found.append(f"{key} ({settings.origin(key)}) has no effect: it is not known here")
    return found


def _from_file(path: str | None, mistakes: list[Mistake]) -> dict[str, Given]:
    if not path:
        return {}
    found: dict[str, Given] = {}
    place, line, wrong = path, 1, ""
    try:
        # The format is Latin-1 with escapes, as Java reads it.
        text = Path(path).read_text("latin-1").removeprefix(_MARK)
        place = f"{path} line {line}"
        for element in javaproperties.parse(text):
            if isinstance(element, javaproperties.KeyValue):
                found[element.key] = Given(element.value.strip(), place)
            line += element.source.count("\n")
            place = f"{path} line {line}"
    except OSError as error:
        wrong = str(error)
    except javaproperties.InvalidUEscapeError:
        # The library's text shows a piece of the value, which may be a secret.
        wrong = "four hexadecimal digits are missing behind a \\u"
    if wrong:
        expected = f"a readable properties file: {wrong}. Couldn't load properties from {path}"
        mistakes.append(Mistake("file", path, place, expected))
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    """Values of variables: `_` is a dot, `__` a `_`, `___` a `-`, as in the container image."""
    by_variable = {row.variable: row.name for row in TABLE.values()}
    found: dict[str, Given] = {}
    for variable, value in environ.items():
        if variable.startswith(VARIABLE_PREFIX) and not variable.startswith(OTHER_VARIABLES):
            key = by_variable.get(variable) or _key_of(variable.removeprefix(VARIABLE_PREFIX))
            found[key] = Given(value, f"environment {variable}")
    return found


def _key_of(name: str) -> str:
    marks = {"___": "-", "__": "_", "_": "."}
    for run, mark in marks.items():
        name = name.replace(run, f"\0{mark}")
        # What has been put in must not be taken for the next, shorter run.
        name = name.replace("\0_", "\1")
    return name.replace("\0", "").replace("\1", "_").lower()


def _from_overrides(overrides: Iterable[str], mistakes: list[Mistake]) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key.strip():
            # What stands behind the name may be a secret.
            name = _NAME.match(override)
            mistakes.append(Mistake(name[0] if name else "", "", COMMAND_LINE, "KEY=VALUE"))
        else:
            found[key.strip()] = Given(value.strip(), COMMAND_LINE)
    return found
