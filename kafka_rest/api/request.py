"""What a view gets of its request: the negotiated variant, the body, numbers, and the URL as the
client sees it.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, quote

from kafka_rest import settings as s
from kafka_rest.errors import BadRequest, BodyTooLarge, NotFound, RequestTimeout
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.media import Choice

PATH = "kafka_rest.path"
"""Where the raw path of a request stands in its environ, without query and trailing slash."""

_INTEGER = re.compile(r"[+-]?\d+\Z")
# A target in absolute form (RFC 9112).
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(/[^?#]*)?(?:[?#]|\Z)")
_INT_MAX = 2**31 - 1
_LONG_MAX = 2**63 - 1
_BOM = b"\xef\xbb\xbf"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# What may stand in a path segment beside letters and digits (the reference's URI builder).
_PATH_SAFE = ":@~!$&'()*+,;="


class Call:
    """One request on its way through a view."""

    __slots__ = ("_query", "choice", "clients", "environ")

    def __init__(self, environ: Mapping[str, Any], clients: ClientRegistry, choice: Choice) -> None:
        self.environ, self.clients, self.choice = environ, clients, choice
        self._query: dict[str, list[str]] | None = None

    @property
    def settings(self) -> s.Settings:
        """The server's settings."""
        return self.clients.settings

    @property
    def format_name(self) -> str:
        """The embedded format that the media type chose; binary where it names none."""
        return self.choice.variant.embedded_format or "binary"

    def body(self) -> bytes:
        """The whole body as UTF-8, a byte order mark skipped; b"" for none.

        Blocks while the client sends. Raises: as `read_body` and `text_within`.
        """
        most = self.settings[s.REQUEST_MAX_BYTES]
        return text_within(read_body(self.environ, most), most)

    def query_long(self, name: str, default: int) -> int:
        """A whole number of the query; absent or blank is the default, the first of several counts.

        Raises: NotFound for anything else, as the reference does.
        """
        value = self.query_text(name)
        return whole_number(value, _LONG_MAX) if value.strip(" ") else default

    def query_text(self, name: str) -> str:
        """A parameter of the query, the first of several; "" for an absent one."""
        if self._query is None:
            text = str(self.environ.get("QUERY_STRING", ""))
            if not text:
                return ""
            self._query = parse_qs(text, keep_blank_values=True)
        found = self._query.get(name)
        return found[0] if found else ""

    def instance_uri(self, instance: str) -> str:
        """The absolute URI of an instance under the group that this request was sent to."""
        path = str(self.environ[PATH]).rstrip("/")
        return f"{self._origin()}{path}/instances/{quote(instance, safe=_PATH_SAFE)}"

    def _origin(self) -> str:
        """Scheme, host and port as the client sees them.

        `advertised.listeners` wins, then `host.name` (reference behaviour).
        """
        environ = self.environ
        for url in self.settings[s.ADVERTISED_LISTENERS]:
            if url.startswith(f"{environ['wsgi.url_scheme']}://"):
                return str(url)
        forwarded = _trusted(str(environ.get("REMOTE_ADDR", "")), self.settings)
        scheme = str(environ["wsgi.url_scheme"])
        host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", ""))
        prefix = ""
        if forwarded:
            scheme = _first(environ, "HTTP_X_FORWARDED_PROTO") or scheme
            host = _first(environ, "HTTP_X_FORWARDED_HOST") or host
            prefix = _first(environ, "HTTP_X_FORWARDED_PREFIX").rstrip("/")
            port = _first(environ, "HTTP_X_FORWARDED_PORT")
            if port and not _port_of(host):
                host = f"{host}:{port}"
        if name := self.settings[s.HOST_NAME]:
            host = f"{name}:{self.settings[s.PORT]}" if _port_of(host) else name
        if self.settings[s.CONSUMER_PINNING_LISTENERS]:
            # The instance's own worker, so that a client that follows the URI needs no relay.
            own = s.pinned_port(self.settings, self.clients.slot)
            host = f"{host.removesuffix(_port_of(host)).removesuffix(':')}:{own}"
        return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}{prefix}"


def raw_path(environ: Mapping[str, Any]) -> str:
    """The path as sent, without its query; "" where the target of the request has none.

    All that decide by the path ask here, whoever serves it as well: a target that two of them read
    differently would get past one.
    """
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    if not raw:
        return quote(environ["PATH_INFO"], encoding="latin-1")
    if raw.startswith("/"):
        return raw.partition("?")[0]
    found = _ABSOLUTE.match(raw)
    return (found[1] or "/") if found else ""


def read_body(environ: Mapping[str, Any], most: int) -> bytes:
    """The bytes of a body, all that the client has announced; blocks while it sends.

    Raises: BodyTooLarge, RequestTimeout for a client that stalls, BadRequest for a body that is cut
    off or in broken chunks.
    """
    # Absent where the body comes in chunks.
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    if announced > most:
        raise _too_large(most)
    try:
        data: bytes = environ["wsgi.input"].read(most + 1)
    except TimeoutError as error:
        raise RequestTimeout("The body did not come in time.") from error
    except Exception as error:
        # Servers have errors of their own for this, which have one thing in common: the body.
        raise BadRequest("The body is cut off, or its chunks are malformed.") from error
    if len(data) > most:
        raise _too_large(most)
    if len(data) < announced:
        raise BadRequest(f"The body is cut off: {len(data)} of {announced} bytes came.")
    return data


def text_within(data: bytes, most: int) -> bytes:
    """A body of at most `most` bytes as UTF-8, a byte order mark skipped.

    Raises: BodyTooLarge, BadRequest for another encoding.
    """
    if len(data) > most:
        raise _too_large(most)
    if data.isascii():
        return data
    try:
        # The JSON decoder leaves embedded values unread, so that this is the place to check them.
        data.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start} cannot be decoded.") from error
    return data.removeprefix(_BOM)


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"{BodyTooLarge.message}: request.max.bytes is {most}.")


def partition_number(text: str) -> int:
    """A partition in a path: 32 bits, signs and leading zeros allowed. Raises: NotFound."""
    return whole_number(text, _INT_MAX)


def whole_number(text: str, most: int) -> int:
    """A decimal number of at most `most`, as Java's parser reads it. Raises: NotFound."""
    if len(text) > 40 or not _INTEGER.match(text):
        raise NotFound
    number = int(text)
    if not -most - 1 <= number <= most:
        raise NotFound
    return number


def _port_of(host: str) -> str:
    return host.rpartition("]")[2].partition(":")[2]


def _first(environ: Mapping[str, Any], header: str) -> str:
    return str(environ.get(header, "")).partition(",")[0].strip()


def _trusted(address: str, settings: s.Settings) -> bool:
    networks = settings[s.SERVER_TRUSTED_PROXIES]
    if not networks:
        return False
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    # What an IPv4 peer is called where one listener has both kinds (`[::]`).
    plain = getattr(peer, "ipv4_mapped", None) or peer
    return any(peer in network or plain in network for network in networks)
