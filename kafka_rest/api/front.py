"""The short way to a view: WSGI middleware before Flask that serves what needs nothing else.

It routes by the rules of the endpoints, negotiates, calls the view and sends its answer, without
Flask's contexts and response objects, which cost more than a view does. Everything that is not a
plain success goes on to Flask, failures included, so that there is one place that renders errors.
Where the server can keep a connection, an answer that comes later is left to it, with what it takes
to serve the next request of that head (`api.parking`).
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kafka_rest import settings as s
from kafka_rest.api.endpoints import Route, decoded_segment
from kafka_rest.api.parking import LANE, Headers, Keeper, Send
from kafka_rest.api.request import PATH, Call
from kafka_rest.api.response import Answer, Later, drop_stack, error_body, rest_error
from kafka_rest.api.watching import Asked
from kafka_rest.core.pending import Pending
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.media import Choice
from kafka_rest.records import Deadline

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FAILURE = "kafka_rest.failure"
RESPONSE_TYPE = "kafka_rest.response_type"

_TYPE = "Content-Type"

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class _Rule:
    """A route's path as literals and names."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.parts = route.rule.split("/")[1:]
        self.names = {n: p[1:-1] for n, p in enumerate(self.parts) if p.startswith("<")}
        self.literals = [(n, p) for n, p in enumerate(self.parts) if n not in self.names]

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """The named segments, decoded; None where the path is another."""
        for place, literal in self.literals:
            if parts[place] != literal:
                return None
        # An empty segment names nothing.
        if any(not parts[place] for place in self.names):
            return None
        return {name: decoded_segment(parts[place]) for place, name in self.names.items()}


class Front:
    """The middleware."""

    def __init__(
        self, inner: "WSGIApplication", clients: ClientRegistry, routes: Iterable[Route]
    ) -> None:
        self._inner, self._clients = inner, clients
        self._rules: dict[tuple[str, int], list[_Rule]] = {}
        for route in routes:
            rule = _Rule(route)
            self._rules.setdefault((route.method, len(rule.parts)), []).append(rule)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        parts = environ[PATH].split("/")[1:]
        for rule in self._rules.get((environ["REQUEST_METHOD"], len(parts)), ()):
            segments = rule.match(parts)
            if segments is not None:
                return self._serve(rule.route, segments, environ, start_response)
        return self._inner(environ, start_response)

    def _serve(
        self,
        route: Route,
        segments: dict[str, str],
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
    ) -> Iterable[bytes]:
        try:
            choice = route.choose(environ)
            environ[RESPONSE_TYPE] = choice.response_type
            route.admit(environ, segments)
            answer = route.answer(Call(environ, self._clients, choice), segments)
            if isinstance(answer, Later):
                keeper: Keeper | None = environ.get(LANE)
                if keeper is not None:
                    # Neither the socket nor the body of this one.
                    head = {n: t for n, t in environ.items() if isinstance(t, str)}
                    served = _Served(self._clients, route, choice, segments)
                    again = served.again if answer.again else None
                    keeper.keep(_Parked(answer, served), again, head)
                    return ()
                answer = answer.wait()
        except Exception as error:
            environ[FAILURE] = error
            return self._inner(environ, start_response)
        headers = []
        if answer.body is not None:
            headers.append((_TYPE, answer.media_type or choice.response_type))
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(STATUS_LINES[answer.status], headers)
        return [answer.body] if answer.body else []


class _Served:
    """All that the head of a request came to: what it takes to serve another one with that head."""

    __slots__ = ("choice", "clients", "route", "segments")

    def __init__(
        self,
        clients: ClientRegistry,
        route: Route,
        choice: Choice,
        segments: dict[str, str],
    ) -> None:
        self.clients, self.route, self.choice, self.segments = clients, route, choice, segments

    def again(self, body: bytes, environ: Mapping[str, str]) -> "_Parked":
        """Serve a request by its body. Raises: what the view does, WouldBlock included."""
        call = Call(environ, self.clients, self.choice, body)
        answer = self.route.answer(call, self.segments)
        if isinstance(answer, Answer):
            answer = _at_hand(answer)
        return _Parked(answer, self)

    def rendered(self, later: Later, result: Any, asked: Asked) -> tuple[str, Headers, bytes, int]:
        """Status line, headers, body and error code of the answer."""
        media_type = self.choice.response_type
        try:
            answer = later.render(result)
        except Exception as failure:
            error = rest_error(failure, asked.request_id)
            body = error_body(error, self.clients.settings[s.DEBUG])
            drop_stack(error)
            headers = ((_TYPE, media_type), *error.headers.items())
            return STATUS_LINES[error.status], headers, body, error.error_code
        headers = ((_TYPE, answer.media_type or media_type),)
        return STATUS_LINES[answer.status], headers, answer.body or b"", 0


class _Parked:
    """An answer under way, as the server keeps it."""

    __slots__ = ("_later", "_served")

    def __init__(self, later: Later, served: _Served) -> None:
        self._later, self._served = later, served

    @property
    def deadline(self) -> Deadline:
        """When it is to be expired."""
        return self._later.pending.deadline

    @property
    def abandon(self) -> Callable[[], None] | None:
        """Ends it with nothing, where a client that has gone makes a difference."""
        return self._later.pending.abandon

    def then(self, send: Send, asked: Asked) -> None:
        """Have the answer sent when it is there."""
        later = self._later
        later.pending.then(lambda result: send(*self._served.rendered(later, result, asked)))

    def expire(self) -> None:
        """Bring the answer about now."""
        self._later.pending.expire()


def _at_hand(answer: Answer) -> Later:
    pending: Pending[Answer] = Pending(Deadline(0))
    pending.set(answer)
    return Later(pending, lambda found: found)
