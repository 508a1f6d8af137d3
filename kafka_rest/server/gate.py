"""Who asks: WSGI middleware before the forwarder, that names the client of a request or refuses it.

What the client may do is decided where the request is served (`api.rights`). A request that
another worker relays was let in there, and says whose it is. Credentials go no further than here.
"""

import functools
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kafka_rest import errors
from kafka_rest import settings as s
from kafka_rest.api.parking import LANE, Again, Parked
from kafka_rest.api.request import raw_path
from kafka_rest.api.rights import RIGHTS
from kafka_rest.api.watching import STARTED
from kafka_rest.security.authority import Authority
from kafka_rest.security.certificates import subject_of
from kafka_rest.security.principals import ANONYMOUS, PRINCIPAL
from kafka_rest.security.rates import Rates
from kafka_rest.security.tokens import Client, require_time
from kafka_rest.server.forwarder import render_error
from kafka_rest.server.origins import Origin, origin_of
from kafka_rest.server.peers import Peers
from kafka_rest.server.seats import Ticket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Gate:
    """The middleware."""

    def __init__(
        self,
        inner: "WSGIApplication",
        authority: Authority,
        settings: s.Settings,
        peers: Peers,
    ) -> None:
        self._inner, self._authority, self._settings = inner, authority, settings
        self._peers = peers
        most = settings[s.REQUEST_RATE_MAX]
        self._rates = Rates(most) if most else None
        self._skipped = settings[s.AUTHENTICATION_SKIP_PATHS]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # Neither logs nor views nor another worker have a use for it.
        given = environ.pop("HTTP_AUTHORIZATION", None)
        try:
            client, rates = self._let_in(environ, given)
        except errors.RestError as error:
            environ.setdefault(STARTED, time.monotonic())
            return render_error(error, self._settings, environ, start_response)
        environ[PRINCIPAL] = client.principal
        environ[RIGHTS] = self._authority.rights(client.principal)
        ticket: Ticket | None = environ.get(LANE)
        if ticket is not None and (rates is not None or client.until is not None):
            ticket.around = functools.partial(_guarded, client, rates)
        return self._inner(environ, start_response)

    def _let_in(self, environ: "WSGIEnvironment", given: str | None) -> tuple[Client, Rates | None]:
        """The client, and what has counted this request and counts the next ones with its head.

        The latter is None for what is not counted. Raises: the request's refusal, a RestError.
        """
        relayed = origin_of(environ, self._peers) is not Origin.CLIENT
        principal = environ.get(PRINCIPAL) if relayed else None
        if principal is not None:
            # Who relays a request has let its client in, and counted it.
            return Client(principal), None
        if self._open(environ):
            return Client(ANONYMOUS), None
        client = self._known(environ, given)
        if self._rates is not None:
            self._rates.take(client.principal)
        return client, self._rates

    def _known(self, environ: "WSGIEnvironment", given: str | None) -> Client:
        connection = environ.get("gunicorn.socket")
        certificate = getattr(connection, "getpeercert", None)
        return self._authority.client(given, subject_of(certificate() if certificate else None))

    def _open(self, environ: "WSGIEnvironment") -> bool:
        """Whether a request needs no client: by its path, or because it is a browser's own."""
        if self._skipped and raw_path(environ) in self._skipped:
            return True
        # A browser sends no credentials with the question whether it may ask.
        return (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            and bool(self._settings[s.ACCESS_CONTROL_ALLOW_ORIGIN])
        )


def _guarded(client: Client, rates: Rates | None, again: Again) -> Again:
    """What the lane serves further requests of a client by: while it is one, and may ask."""

    def serve(body: bytes, environ: Mapping[str, str]) -> Parked:
        if client.until is not None:
            require_time(client, time.time())
        if rates is None:
            return again(body, environ)
        rates.take(client.principal)
        try:
            return again(body, environ)
        except Exception:
            # It goes the ordinary way now, where it is counted.
            rates.give_back(client.principal)
            raise

    return serve
