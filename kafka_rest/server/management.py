"""The pages for probes and monitoring, before all that other requests go through; WSGI middleware.

They are answered from what is known already and never wait; where the lane can send a page, no
thread does either for a client that does not read it. With ports of their own they answer there and
nowhere else, and nothing else answers there.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from kafka_rest import errors
from kafka_rest import settings as s
from kafka_rest.api.parking import LANE, Headers, Keeper, Send
from kafka_rest.api.request import raw_path
from kafka_rest.api.watching import ENDPOINT, STARTED, Asked
from kafka_rest.records import Deadline
from kafka_rest.server.forwarder import render_error
from kafka_rest.server.relay import came_relayed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATHS = ("/health", "/ready", "/metrics")
METHODS = ("GET", "HEAD")

_URGENT = re.compile(rb"(?:GET|HEAD) (?:%b)[ ?]" % "|".join(PATHS).encode())
_BODY = re.compile(rb"\n(?:Content-Length|Transfer-Encoding)[ \t]*:", re.IGNORECASE)


class Page(NamedTuple):
    """What a path answers: status, Content-Type and body."""

    status: int
    media_type: str
    body: bytes


Pages = Mapping[str, Callable[[], Page]]


class Management:
    """The middleware. `pages`: what each path answers."""

    def __init__(self, inner: "WSGIApplication", pages: Pages, settings: s.Settings) -> None:
        self._inner, self._pages, self._settings = inner, pages, settings
        self._ports = frozenset(str(port) for port in s.management_ports(settings))

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # A worker that relays passes on the client's Host, which names the port on a Unix socket.
        here = environ.get("SERVER_PORT") in self._ports and not came_relayed(environ)
        path = raw_path(environ)
        # One that is not offered too: none of them may come to what lets a request wait.
        if not here and (self._ports or path not in PATHS):
            return self._inner(environ, start_response)
        page = self._pages.get(path)
        environ[STARTED] = time.monotonic()
        error: errors.RestError
        if page is None:
            error = errors.NotFound()
        elif environ["REQUEST_METHOD"] not in METHODS:
            error = errors.MethodNotAllowed(headers={"Allow": ",".join(METHODS)})
        else:
            environ[ENDPOINT] = path[1:]
            return _answer(page(), environ, start_response)
        return render_error(error, self._settings, environ, start_response)


def is_urgent(head: bytes) -> bool:
    """Whether a request is for one of the pages and has no body: it needs a thread for a moment."""
    return _URGENT.match(head) is not None and _BODY.search(head) is None


class _Told:
    """A page on its way to a client, as the lane parks it (`api.parking.Parked`)."""

    abandon = None

    def __init__(self, page: Page) -> None:
        self._page, self.deadline = page, Deadline(0)

    def then(self, send: Send, asked: Asked) -> None:
        """Have the page sent; it is there."""
        send(_status_line(self._page), _headers(self._page), self._page.body, 0)

    def expire(self) -> None:
        """Nothing: it is being sent."""


def _answer(
    page: Page, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    keeper: Keeper | None = environ.get(LANE)
    if keeper is not None:
        keeper.keep(_Told(page), None, environ)
        return ()
    length = ("Content-Length", str(len(page.body)))
    start_response(_status_line(page), [*_headers(page), length])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [page.body]


def _status_line(page: Page) -> str:
    return f"{page.status} {HTTPStatus(page.status).phrase}"


def _headers(page: Page) -> Headers:
    return ("Content-Type", page.media_type), ("Cache-Control", "no-store")
