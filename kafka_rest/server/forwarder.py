"""Bring a consumer's requests to the worker that owns it; WSGI middleware before the application.

The owner follows from group and instance by arithmetic: first the proxy of the cluster, then the
worker in it. What another proxy owns is relayed there, and never to a third one. Within the proxy a
read, which may wait, takes its connection along to the owner where that can be; everything else is
relayed. A request that a worker relays arrives on a private Unix socket and is never relayed again.
Views know nothing of workers.
"""

import functools
import io
import logging
import re
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from kafka_rest import errors
from kafka_rest import settings as s
from kafka_rest.api import cors
from kafka_rest.api.parking import LANE
from kafka_rest.api.request import raw_path, read_body, text_within
from kafka_rest.api.request_ids import GIVEN, request_id
from kafka_rest.api.watching import ENDPOINT, ERROR_CODE, RELAYED, STARTED
from kafka_rest.metrics import Cells
from kafka_rest.metrics.table import HAND_OVERS, RELAY_SECONDS
from kafka_rest.pinning import owner_peer, owner_slot
from kafka_rest.records import Deadline
from kafka_rest.server.link import (
    Lost,
    RelayedAnswer,
    Unreachable,
    error_code_of,
    refusal,
)
from kafka_rest.server.long_polls import LongPolls
from kafka_rest.server.origins import Origin, origin_of
from kafka_rest.server.peers import Peers
from kafka_rest.server.relay import Owners
from kafka_rest.server.seats import Ticket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

_INSTANCE = re.compile(r"/consumers/([^/]+)/instances/([^/]+)(/[^?]*)?\Z")
_CREATE = re.compile(r"/consumers/([^/]+)/?\Z")
PEER_ENDPOINT = "relayed"
"""The endpoint of what another proxy answers, as it is counted here."""


class _Name(msgspec.Struct):
    """The members of a create call that name the instance."""

    id: Any = None
    name: Any = None


class Owner(NamedTuple):
    """The place of a proxy in its cluster, and of a worker in its proxy."""

    peer: int
    slot: int


class Place(NamedTuple):
    """This worker's slot among the slots, and how long a relayed request may take, in seconds."""

    slot: int
    slots: int
    relay_seconds: float
    body_max_bytes: int


class Forwarder:
    """The middleware. `polls` and `relayed_polls` count reads that hold a thread of the two pools.

    `parks`: the application leaves a read that waits to the server, where that can keep it.
    """

    def __init__(
        self,
        inner: "WSGIApplication",
        settings: s.Settings,
        place: Place,
        owners: Owners,
        peers: Peers,
        most_polls: int,
        parks: bool,
        cells: Cells | None = None,
    ) -> None:
        self._cells = cells or Cells()
        self._cells.start(RELAY_SECONDS, ("answered", "lost", "unreachable"))
        self._inner, self._settings, self._place = inner, settings, place
        self._owners, self._parks = owners, parks
        self._peers, self._alone = peers, place.slots * peers.count == 1
        self.polls, self.relayed_polls = LongPolls(most_polls), LongPolls(most_polls)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ[STARTED] = time.monotonic()
        try:
            origin = origin_of(environ, self._peers)
            relayed, from_peer = origin is Origin.WORKER, origin is Origin.PROXY
            path = raw_path(environ)
            if not path.startswith("/consumers/"):
                return self._inner(environ, start_response)
            owner = None if relayed else self._owner(environ, path)
            if owner is not None and owner.peer != self._peers.own:
                if from_peer:
                    raise self._peers.disagreement(owner.peer)
                return self._cross(owner.peer, _is_read(environ, path), environ, start_response)
            elsewhere = owner is not None and owner.slot != self._place.slot
            reads, kept = _is_read(environ, path), self._parks and LANE in environ
            if owner is not None and elsewhere and reads and kept:
                ticket: Ticket = environ[LANE]
                gone = ticket.hand_over(functools.partial(self._owners.hand_over, owner.slot))
                self._cells.count(HAND_OVERS, "taken" if gone else "refused")
                if gone:
                    return ()
            room = self.relayed_polls if relayed else self.polls
            with room.one() if reads and (elsewhere or not kept) else nullcontext():
                if owner is not None and elsewhere:
                    return self._relay(owner.slot, environ, start_response)
                return self._inner(environ, start_response)
        except errors.RestError as error:
            return render_error(error, self._settings, environ, start_response)

    def _owner(self, environ: "WSGIEnvironment", path: str) -> Owner | None:
        """The owner of the instance that a request is about; None where it is about none yet."""
        found = _INSTANCE.match(path)
        if found:
            return self._owner_of(_decoded(found[1]), _decoded(found[2]))
        created = _CREATE.match(path)
        if not created or environ["REQUEST_METHOD"] != "POST" or self._alone:
            return None
        name = self._peek(environ)
        return self._owner_of(_decoded(created[1]), name) if name else None

    def _owner_of(self, group: str, name: str) -> Owner:
        peers = self._peers.count
        return Owner(
            owner_peer(group, name, peers), owner_slot(group, name, self._place.slots, peers)
        )

    def _peek(self, environ: "WSGIEnvironment") -> str | None:
        """The name in the body of a create call; the body is put back for whoever reads it next."""
        body = read_body(environ, self._place.body_max_bytes)
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            text = text_within(body, self._place.body_max_bytes)
            members = msgspec.json.decode(text, type=_Name | None)
        except (errors.BadRequest, msgspec.DecodeError, RecursionError):
            # The application finds the same and says so.
            return None
        if members is None:
            return None
        name = members.name if members.id is None else members.id
        # As the application reads it: numbers and booleans count as their text.
        if isinstance(name, bool):
            return "true" if name else "false"
        return str(name) if isinstance(name, str | int | float) else None

    def _cross(
        self,
        peer: int,
        is_read: bool,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
    ) -> Iterable[bytes]:
        """Relay to another proxy; no thread waits for it where the lane keeps the connection."""
        body = read_body(environ, self._place.body_max_bytes)
        deadline = Deadline(self._place.relay_seconds)
        ticket: Ticket | None = environ.get(LANE)
        environ[ENDPOINT], environ[GIVEN] = PEER_ENDPOINT, request_id(environ)
        if ticket is not None:
            more = cors.headers(self._settings, environ)
            crossing = self._peers.cross(peer, environ, body, deadline, is_read, more)
            ticket.keep(crossing, None, environ)
            return ()
        # Whatever it is: proxies that wait for each other must have threads left to answer with.
        with self.polls.one():
            answer = self._peers.send(peer, environ, body, deadline)
        return _passed_on(answer, environ, start_response)

    def _relay(
        self, owner: int, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> list[bytes]:
        body = read_body(environ, self._place.body_max_bytes)
        started = time.monotonic()
        environ[GIVEN] = request_id(environ)
        try:
            answer = self._owners.send(owner, environ, body, Deadline(self._place.relay_seconds))
        except Unreachable as error:
            self._observe(started, "unreachable")
            log.warning("owner not reachable slot=%d reason=%s", owner, error)
            raise errors.ServiceUnavailable(
                f"{errors.ServiceUnavailable.message}: the worker that owns this consumer is being "
                "replaced. Try again.",
                {"Retry-After": "1"},
            ) from error
        except Lost as error:
            self._observe(started, "lost")
            log.warning("owner lost slot=%d reason=%s", owner, error)
            raise errors.ServiceUnavailable(
                f"{errors.ServiceUnavailable.message}: the worker that owns this consumer ended"
                f" before "
                "it answered, and its consumers with it.",
                {"Retry-After": "1"},
            ) from error
        self._observe(started, "answered")
        environ[RELAYED] = True
        return _passed_on(answer, environ, start_response)

    def _observe(self, started: float, outcome: str) -> None:
        self._cells.observe(RELAY_SECONDS, time.monotonic() - started, outcome)


def _is_read(environ: "WSGIEnvironment", path: str) -> bool:
    found = _INSTANCE.match(path) if environ["REQUEST_METHOD"] in ("GET", "HEAD") else None
    return bool(found and found[3] and found[3].startswith(("/topics/", "/records")))


def _decoded(segment: str) -> str:
    return unquote_to_bytes(segment.encode("latin-1")).decode("utf-8", "surrogateescape")


def render_error(
    error: errors.RestError,
    settings: s.Settings,
    environ: "WSGIEnvironment",
    start_response: "StartResponse",
) -> list[bytes]:
    """Answer with an error in front of the application."""
    answer = refusal(error, cors.headers(settings, environ))
    return _passed_on(answer, environ, start_response)


def _passed_on(
    answer: RelayedAnswer, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> list[bytes]:
    if answer.status >= "400":
        environ[ERROR_CODE] = error_code_of(answer)
    start_response(answer.status, answer.headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]
