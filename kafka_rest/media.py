"""Media types: parse headers, choose among what an endpoint offers, name what would have worked.

Each endpoint lays its variants as a table; `Negotiation` picks one by the request's Content-Type
and Accept, as JAX-RS does it (the reference's rules), with the exceptions that
docs/compatibility.md lists.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from kafka_rest.errors import NotAcceptable, UnsupportedMediaType, because

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"({_TOKEN})(?:/({_TOKEN}))?\Z")
_WEIGHT = re.compile(r"(?:[01](?:\.\d{0,3})?|\.\d{1,3})\Z")
_LIST_ENTRY = re.compile(r'(?:[^,"]|"[^"]*"?)+')
_REMEMBERED_LENGTH = 1024
_HEADER_LIMIT = 8192
"""Characters of a header that are looked at; a longer one is answered as broken."""


class Produced(NamedTuple):
    """A type that a variant can answer with; `quality` is the server's own preference."""

    media_type: str
    quality: float


class Variant(NamedTuple):
    """One way to serve an endpoint: API version, embedded format, what it reads and writes.

    `consumes` None takes any Content-Type. A request without Content-Type fits every variant.
    """

    version: str
    consumes: frozenset[str] | None
    produces: tuple[Produced, ...]
    embedded_format: str | None = None


class Choice(NamedTuple):
    """What negotiation settled: the variant and the type of the answer."""

    variant: Variant
    response_type: str


class _Range(NamedTuple):
    """One entry of an Accept header."""

    main: str
    sub: str
    weight: float

    def covers(self, media_type: str) -> bool:
        main, _, sub = media_type.partition("/")
        return self.main in ("*", main) and self.sub in ("*", sub)

    @property
    def exact(self) -> bool:
        return self.main != "*" and self.sub != "*"


def bare_type(header: str) -> str | None:
    """`type/subtype` in lower case, parameters dropped; None where the header is no media type."""
    found = _TYPE.match(header.partition(";")[0].strip().lower())
    return f"{found[1]}/{found[2]}" if found and found[2] else None


def parse_accept(header: str) -> list[_Range]:
    """The readable entries of an Accept header; broken entries are passed over.

    `*` alone is `*/*` and `q=.2` is a weight: Java's HttpURLConnection sends both.
    """
    if len(header) > _HEADER_LIMIT:
        return []
    return [entry for text in _LIST_ENTRY.findall(header) if (entry := _parse_range(text))]


def _parse_range(text: str) -> _Range | None:
    name, *parameters = (part.strip() for part in text.lower().split(";"))
    found = _TYPE.match(name)
    if not found:
        return None
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            value = value.strip()
            if not _WEIGHT.match(value) or float(value) > 1:
                return None
            weight = float(value)
    # One word without a slash is `word/*` (reference behaviour).
    return _Range(found[1], found[2] or "*", weight)


class Negotiation:
    """The variants of one endpoint, and the choice among them."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        self.variants = tuple(variants)
        self._remembered = lru_cache(maxsize=512)(self._choose)

    def choose(self, content_type: str | None, accept: str | None) -> Choice:
        """Choose by the two headers (None or blank: absent).

        Raises: UnsupportedMediaType first, then NotAcceptable, as the reference orders them.
        """
        if len(content_type or "") + len(accept or "") > _REMEMBERED_LENGTH:
            return self._choose(content_type, accept)
        return self._remembered(content_type, accept)

    def _choose(self, content_type: str | None, accept: str | None) -> Choice:
        return self._acceptable(self._readers(content_type), accept)

    def _readers(self, content_type: str | None) -> list[Variant]:
        if not content_type or not content_type.strip():
            return list(self.variants)
        wanted = bare_type(content_type) if len(content_type) <= _HEADER_LIMIT else None
        readers = [v for v in self.variants if v.consumes is None or wanted in v.consumes]
        if not readers:
            consumed: set[str] = set().union(*(v.consumes or () for v in self.variants))
            raise because(UnsupportedMediaType, f"Supported: {_listing(consumed)}.")
        return readers

    @staticmethod
    def _acceptable(readers: list[Variant], accept: str | None) -> Choice:
        ranges = parse_accept(accept) if accept and accept.strip() else [_Range("*", "*", 1.0)]
        best: tuple[float, float, bool] | None = None
        choice: Choice | None = None
        refused = {f"{r.main}/{r.sub}" for r in ranges if r.exact and not r.weight}
        for entry in ranges:
            for variant in readers:
                for produced in variant.produces:
                    if not entry.weight or produced.media_type in refused:
                        continue
                    if not entry.covers(produced.media_type):
                        continue
                    rank = (entry.weight, produced.quality, entry.exact)
                    if best is None or rank > best:
                        best, choice = rank, Choice(variant, produced.media_type)
        if choice is None:
            offered = {p.media_type for variant in readers for p in variant.produces}
            raise because(NotAcceptable, f"Available: {_listing(offered)}.")
        return choice


def _listing(media_types: Iterable[str]) -> str:
    return ", ".join(sorted(media_types))
