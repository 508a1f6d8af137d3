"""The other proxies of a cluster: relays requests to them, and tells their relays from forgeries.

A relayed request says whose it is (address, scheme, principal) and is signed with `cluster.secret`.
The secret itself never travels. Who owns what is `pinning`'s matter.
"""

import hmac
import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from kafka_rest import errors
from kafka_rest.errors import RestError, ServiceUnavailable
from kafka_rest.records import Clock, Deadline
from kafka_rest.security.principals import HEADER, header_of
from kafka_rest.server.crossings import Crossing, Crossings
from kafka_rest.server.link import (
    Link,
    Lost,
    RelayedAnswer,
    Unreachable,
    ascii_uri,
    refusal,
)
from kafka_rest.settings import Cluster

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
"""How long a peer that does not answer at all is waited for."""
AWAY_SECONDS = 1.0
"""How long a peer that did not answer at all is not tried again."""
AT_ONCE_SECONDS = 0.1
"""A refusal that takes longer costs a thread that time: the host has other addresses, which did not
answer."""
SIGNATURE_HEADER = "X-Kafka-Rest-Signature"
REFUSED_HEADER = "X-Kafka-Rest-Refused"
"""In the answer to a relay whose signature is wrong."""
RETRY = {"Retry-After": "1"}

Dial = Callable[[Deadline], http.client.HTTPConnection]


class Claims(NamedTuple):
    """What a relayed request says of itself; `signature` is there if it comes from a peer."""

    address: str
    scheme: str
    signature: str
    principal: str = ""


class Dialler:
    """Connects to a peer, unless that has just failed: a host that is off would hold every thread
    for seconds. One that refuses at once costs nothing, and is found again as soon as it listens.
    """

    def __init__(self, url: str, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        parts = urlsplit(url)
        self._tls, self._host = parts.scheme == "https", parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._lock = threading.Lock()
        self._away_until, self._why = 0.0, ""
        self._context: ssl.SSLContext | None = None

    def __call__(self, deadline: Deadline) -> http.client.HTTPConnection:
        with self._lock:
            now = self._clock()
            if now < self._away_until:
                raise Unreachable(self._why)
            if self._why:
                # One tries; who comes meanwhile is told so.
                self._away_until = now + CONNECT_SECONDS + AWAY_SECONDS
        connection = self._make(deadline.sooner(CONNECT_SECONDS).left())
        started = self._clock()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            now = self._clock()
            if isinstance(error, ConnectionRefusedError) and now - started < AT_ONCE_SECONDS:
                self._note("", 0.0)
            else:
                self._note(str(error), now + AWAY_SECONDS)
            raise Unreachable(str(error)) from error
        self._note("", 0.0)
        return connection

    def _note(self, why: str, away_until: float) -> None:
        with self._lock:
            self._why, self._away_until = why, away_until

    def _make(self, seconds: float) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        if self._context is None:
            # The system's authorities, or those that SSL_CERT_FILE names.
            self._context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=seconds, context=self._context
        )


class Peers:
    """The cluster as this server sees it. Thread-safe; to be made after the fork.

    `most` requests may be under way to peers at a time. `dialler` makes, of a peer's URL, what
    connects to it.
    """

    def __init__(
        self,
        cluster: Cluster,
        most: int,
        draining: threading.Event,
        dialler: Callable[[str], Dial] = Dialler,
    ) -> None:
        self.own, self.count = cluster.own, max(1, len(cluster.peers))
        self._ids = [peer.id for peer in cluster.peers]
        self._secret, self._most = cluster.secret.encode(), most
        self._links = [Link(dialler(peer.url)) for peer in cluster.peers]
        self._crossings = Crossings(draining)

    def require_signed(self, environ: "WSGIEnvironment", claims: Claims) -> None:
        """Check that a request which says to be relayed by a peer is so. Raises: Forbidden."""
        if not self._ids:
            why = "it is relayed by another proxy, but cluster.peers is not set here."
        elif hmac.compare_digest(
            self._signature(
                environ["REQUEST_METHOD"],
                environ["RAW_URI"],
                claims.address,
                claims.scheme,
                claims.principal,
            ).encode(),
            claims.signature.encode("latin-1", "replace"),
        ):
            return
        else:
            why = "it says to be relayed by another proxy, and is not signed with cluster.secret."
        log.warning("relay refused from=%s reason=%s", environ.get("REMOTE_ADDR"), why)
        raise errors.Forbidden(f"{errors.Forbidden.message}: {why}", {REFUSED_HEADER: "signature"})

    def disagreement(self, peer: int) -> ServiceUnavailable:
        """The error where a peer relays to here what is another's by our list."""
        return _unavailable(
            f"the proxies disagree about cluster.peers: this consumer was sent to "
            f"{self._ids[self.own]} as its owner, by whose list {self._ids[peer]} is. "
            "Give all of them the same list."
        )

    def send(
        self, peer: int, environ: "WSGIEnvironment", body: bytes, deadline: Deadline
    ) -> RelayedAnswer:
        """Relay one request and wait for its answer. Raises: ServiceUnavailable, naming the peer.

        Blocks until the deadline at the longest.
        """
        connection = self._begin(peer, environ, body, deadline)
        answer = self._receive(peer, connection, deadline)
        self._links[peer].keep(connection)
        return answer

    def cross(
        self,
        peer: int,
        environ: "WSGIEnvironment",
        body: bytes,
        deadline: Deadline,
        is_read: bool,
        more: Mapping[str, str],
    ) -> Crossing:
        """Relay one request, whose answer comes later. Blocks while the request is sent.

        `more`: the headers that errors which are found here have beside their own.

        Raises: TooManyRequests, ServiceUnavailable, naming the peer.
        """
        if len(self._crossings) >= self._most:
            raise errors.TooManyRequests(
                f"This worker has {self._most} requests under way at other proxies, as many as "
                "consumer.long.polls.max allows. Try again.",
                RETRY,
            )
        crossing = Crossing(
            self._begin(peer, environ, body, deadline),
            deadline,
            partial(self._received, peer, more),
            self._links[peer].keep,
            refusal(_unavailable(f"the proxy {self._ids[peer]} did not answer in time."), more),
            is_read,
        )
        self._crossings.add(crossing)
        return crossing

    def close(self) -> None:
        """End the threads and close the idle connections."""
        self._crossings.close()
        for link in self._links:
            link.close()

    def _begin(
        self, peer: int, environ: "WSGIEnvironment", body: bytes, deadline: Deadline
    ) -> http.client.HTTPConnection:
        signature = self._signature(
            environ["REQUEST_METHOD"],
            ascii_uri(environ),
            str(environ.get("REMOTE_ADDR", "")),
            str(environ.get("wsgi.url_scheme", "http")),
            header_of(environ).get(HEADER, ""),
        )
        try:
            return self._links[peer].begin(environ, body, deadline, {SIGNATURE_HEADER: signature})
        except Unreachable as error:
            raise self._away(
                peer, "cannot be reached; if it was restarted, its consumers are gone.", error
            ) from error
        except Lost as error:
            raise self._lost(peer, error) from error

    def _receive(
        self, peer: int, connection: http.client.HTTPConnection, deadline: Deadline
    ) -> RelayedAnswer:
        try:
            answer = self._links[peer].receive(connection, deadline)
        except Lost as error:
            raise self._lost(peer, error) from error
        if any(name.lower() == REFUSED_HEADER.lower() for name, _ in answer.headers):
            raise self._away(peer, "refuses what this one relays: their cluster.secret differs.")
        return answer

    def _received(
        self,
        peer: int,
        more: Mapping[str, str],
        connection: http.client.HTTPConnection,
        deadline: Deadline,
    ) -> RelayedAnswer:
        try:
            return self._receive(peer, connection, deadline)
        except RestError as error:
            return refusal(error, more)

    def _lost(self, peer: int, error: Lost) -> ServiceUnavailable:
        return self._away(
            peer, "ended before it answered, and its consumers with it if it was restarted.", error
        )

    def _away(self, peer: int, what: str, error: Exception | None = None) -> ServiceUnavailable:
        log.warning("peer failed id=%s what=%s reason=%s", self._ids[peer], what, error or "-")
        return _unavailable(f"the proxy {self._ids[peer]}, which owns this consumer, {what}")

    def _signature(self, *said: str) -> str:
        # None of these can hold a line end.
        text = "\n".join(said).encode("latin-1", "replace")
        return hmac.new(self._secret, text, sha256).hexdigest()


def _unavailable(what: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"{ServiceUnavailable.message}: {what}", RETRY)
