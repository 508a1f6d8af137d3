"""What a row of the settings table is, and the checks that rows use.

A parser takes the text of a value and returns the typed value; what it refuses it says with a
`ValueError` whose text names what would be valid.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from kafka_rest.settings.secrets import is_secret

T = TypeVar("T")

Parser = Callable[[str], T]
Network = IPv4Network | IPv6Network

_PEER_ID = re.compile(r"[A-Za-z0-9._-]+\Z")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+\Z")


class Listener(NamedTuple):
    """Where the server listens."""

    scheme: str
    host: str
    port: int


class Peer(NamedTuple):
    """A proxy of a cluster, and where the others reach it."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One row: name, how its text is read, default (as text), and one sentence for the documents.

    `ignored` says why a setting of the reference has no effect here; it is accepted with one
    warning. `ours` marks a setting that the reference does not have.
    """

    name: str
    parse: Parser[T]
    default: str
    sentence: str
    importance: str = "low"
    ours: bool = False
    ignored: str = ""

    @property
    def variable(self) -> str:
        """The environment variable, named as the reference's container image names it."""
        return "KAFKA_REST_" + self.name.upper().replace(".", "_")

    @property
    def secret(self) -> bool:
        """True where the value must never be shown."""
        return is_secret(self.name)


AnySetting = Setting[Any]


def text(value: str) -> str:
    """Any text."""
    return value


def names(value: str) -> frozenset[str]:
    """Names, comma-separated."""
    return frozenset(name.strip() for name in value.split(",") if name.strip())


def class_name(*allowed: str) -> Parser[str]:
    """One of these Java classes, with or without its package; without it."""

    def parse(value: str) -> str:
        name = value.rpartition(".")[2]
        if name not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return name

    return parse


def integer(least: int, most: int = 2**31 - 1) -> Parser[int]:
    """A whole number between two bounds, both included."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,20}", value) or not least <= int(value) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(value)

    return parse


def boolean(value: str) -> bool:
    """`true` or `false`, in any case."""
    lowered = value.lower()
    if lowered not in ("true", "false"):
        raise ValueError("true or false")
    return lowered == "true"


def one_of(*words: str) -> Parser[str]:
    """One of some words."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(word or '(empty)' for word in words)}")
        return value

    return parse


def some_of(*known: str, none: str) -> Parser[tuple[str, ...]]:
    """Some of a few words, comma-separated, or the one that stands for none of them."""

    def parse(value: str) -> tuple[str, ...]:
        found = () if value == none else words(value)
        if (value != none or not none) and (not found or not set(found) <= set(known)):
            start = f"{none}, or " if none else ""
            raise ValueError(f"{start}one or more of {', '.join(known)}")
        return found

    return parse


def words(value: str) -> tuple[str, ...]:
    """A comma-separated list; blanks around commas are dropped, empty is the empty list."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def urls(value: str) -> tuple[str, ...]:
    """A comma-separated list of http or https URLs; a path is allowed."""
    found = words(value)
    for url in found:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or _port(url) is None:
            raise ValueError("a comma-separated list of http:// or https:// URLs")
    return tuple(url.rstrip("/") for url in found)


def file_or_url(value: str) -> str:
    """The path of a file, or an http or https URL without a user."""
    parts = urlsplit(value)
    if "@" in parts.netloc:
        raise ValueError("a path, or a URL without user and password, which cannot be used")
    # Messages name a path as it is, and a URL's query may hold a secret.
    known = parts.scheme in ("http", "https") and parts.hostname and not re.search(r"\s", value)
    if "://" in value and not known:
        raise ValueError("a path, or a URL such as https://HOST/PATH, without blanks")
    return value


def listeners(*schemes: str) -> Parser[tuple[Listener, ...]]:
    """A comma-separated list of `SCHEME://host:port`."""

    def parse(value: str) -> tuple[Listener, ...]:
        found: list[Listener] = []
        for url in words(value):
            parts = urlsplit(url)
            port = _port(url)
            if parts.scheme not in schemes or not port or parts.path.strip("/"):
                valid = " or ".join(f"{scheme}://HOST:PORT" for scheme in schemes)
                raise ValueError(f"a comma-separated list of {valid}")
            found.append(Listener(parts.scheme, parts.hostname or "0.0.0.0", port))
        return tuple(found)

    return parse


def bootstrap(value: str) -> tuple[str, ...]:
    """A comma-separated list of HOST:PORT, each with or without PROTOCOL:// before it."""
    found = words(value)
    for server in found:
        if not re.fullmatch(
            r"(?:[A-Za-z_]+://)?(?:\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+):\d{1,5}", server
        ):
            raise ValueError("a comma-separated list of HOST:PORT or PROTOCOL://HOST:PORT")
    if not found:
        raise ValueError("at least one HOST:PORT")
    return found


def peers(value: str) -> tuple[Peer, ...]:
    """A comma-separated list of `ID=URL`, in the order of the ids."""
    found: dict[str, str] = {}
    for entry in words(value):
        name, _, url = entry.partition("=")
        name, url = name.strip(), url.strip().rstrip("/")
        wrong = _wrong_peer(name, url, found)
        if wrong:
            raise ValueError(
                "a comma-separated list of ID=http://HOST:PORT, the same for all proxies; "
                f"{entry!r} {wrong}"
            )
        found[name] = url
    return tuple(Peer(*peer) for peer in sorted(found.items()))


def _wrong_peer(name: str, url: str, others: dict[str, str]) -> str:
    """What is wrong with an entry, "" for nothing."""
    if not _PEER_ID.match(name):
        return "needs an ID of letters, digits, '.', '_' and '-' before its ="
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or _port(url) is None:
        return "needs a URL such as http://10.0.0.1:8082 behind its ="
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return "may have scheme, host and port only"
    if name in others or url in others.values():
        return "names an ID or a URL for the second time"
    return ""


def networks(value: str) -> tuple[Network, ...]:
    """A comma-separated list of addresses or networks."""
    try:
        return tuple(ip_network(part, strict=False) for part in words(value))
    except ValueError:
        raise ValueError(
            "a comma-separated list of addresses or networks, such as 10.0.0.0/8"
        ) from None


def media_type(value: str) -> str:
    """A media type."""
    if not _MEDIA_TYPE.match(value):
        raise ValueError("a media type, such as application/json")
    return value


def media_types(value: str) -> tuple[str, ...]:
    """A comma-separated list of media types."""
    return tuple(media_type(part) for part in words(value))


def _port(url: str) -> int | None:
    """The port of a URL, 0 for none, None for a bad one."""
    try:
        return urlsplit(url).port or 0
    except ValueError:
        return None
