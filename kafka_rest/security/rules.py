"""The authorization file: a line for each right, and nothing is allowed that no line allows.

    PRINCIPAL OPERATION[,OPERATION...] topic|group PATTERN

A pattern is a name, or the beginning of names with a `*` behind it. As a principal `*` is everybody
who has said who they are. Words are what stands between blanks; what stands in quotes, single or
double, is part of a word as it is. A backslash is a character like any other, as subjects of
certificates have them. A `#` at the beginning of a word begins a note.
"""

import re
from typing import NamedTuple

from kafka_rest.security.files import BadFile, lines_of
from kafka_rest.security.principals import ANONYMOUS

OPERATIONS = ("read", "write", "describe", "admin")
KINDS = ("topic", "group")
EVERYBODY = "*"
# Who may do something with a thing may know that it is there, as with Kafka's own rights.
_GIVES = {operation: {operation, "describe"} for operation in OPERATIONS}
_CURE = "set authorization.file to a file that this user may read"
_WORD = re.compile(r"""#.*|(?:[^\s"']|"[^"]*"|'[^']*')+|["']""")
_QUOTED = re.compile(r"""(["'])(.*?)\1""")
_FORM = "a line is PRINCIPAL OPERATIONS topic|group PATTERN, such as: alice read,write topic web-*"


class _Names:
    """Names that are allowed: some as they are, some by their beginning."""

    def __init__(self) -> None:
        self._literal: set[str] = set()
        self._beginnings: tuple[str, ...] = ()

    def add(self, pattern: str) -> None:
        """Allow what a pattern stands for."""
        if pattern.endswith("*"):
            self._beginnings += (pattern[:-1],)
        else:
            self._literal.add(pattern)

    def __contains__(self, name: str) -> bool:
        return name in self._literal or name.startswith(self._beginnings)


class _Line(NamedTuple):
    principal: str
    operations: list[str]
    kind: str
    pattern: str


class Rules:
    """All rights. Nothing changes once they are read."""

    def __init__(self, path: str) -> None:
        """Read the file. Raises: BadFile."""
        self._rights: dict[tuple[str, str, str], _Names] = {}
        for number, text in lines_of(path, _CURE):
            line = _parsed(path, number, text)
            given = set().union(*(_GIVES[operation] for operation in line.operations))
            for operation in given:
                key = (line.principal, operation, line.kind)
                self._rights.setdefault(key, _Names()).add(line.pattern)

    def allow(self, principal: str, operation: str, kind: str, name: str) -> bool:
        """Whether a line allows the principal this."""
        rights = self._rights
        own = rights.get((principal, operation, kind))
        if own is not None and name in own:
            return True
        all_have = rights.get((EVERYBODY, operation, kind))
        return all_have is not None and principal != ANONYMOUS and name in all_have


def _parsed(path: str, number: int, text: str) -> _Line:
    words = _words(path, number, text)
    if len(words) != 4:
        raise BadFile(path, number, f"has {len(words)} words; {_FORM}")
    principal, operations, kind, pattern = words
    line = _Line(principal, operations.split(","), kind, pattern)
    for operation in line.operations:
        if operation not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            raise BadFile(path, number, f"{operation!r} is no operation; valid are {known}")
    if kind not in KINDS:
        raise BadFile(path, number, f"{kind!r} is neither topic nor group; {_FORM}")
    if "*" in pattern[:-1]:
        raise BadFile(path, number, f"{pattern}: a * may only stand at the end of a pattern")
    return line


def _words(path: str, number: int, text: str) -> list[str]:
    found = [word for word in _WORD.findall(text) if not word.startswith("#")]
    if any(word in ("'", '"') for word in found):
        raise BadFile(path, number, f"a quote is not closed; {_FORM}")
    return [_QUOTED.sub(r"\2", word) for word in found]
