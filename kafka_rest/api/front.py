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
from kafka_rest.api.response import Later, drop_stack, error_body, rest_error
from kafka_rest.api.watching import Asked
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
                    served = _Served(self._clients, choice, answer)
                    again = None if answer.again is None else served.again
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
    """What serves requests of one head, and what all their answers have of it."""

    __slots__ = ("_again", "_debug", "_headers")

    def __init__(self, clients: ClientRegistry, choice: Choice, first: Later) -> None:
        self._again, self._debug = first.again, clients.settings[s.DEBUG]
        self._headers: Headers = ((_TYPE, choice.response_type),)

    def again(self, body: bytes, environ: Mapping[str, str]) -> "_Parked":
        """Serve a request by its body. Raises: what the view does, WouldBlock included."""
        return _Parked(self._again(body, environ), self)  # type: ignore[misc] # offered if it is

    def rendered(self, later: Later, result: Any, asked: Asked) -> tuple[str, Headers, bytes, int]:
        """Status line, headers, body and error code of the answer."""
        try:
            answer = later.render(result)
        except Exception as failure:
            error = rest_error(failure, asked.request_id)
            body = error_body(error, self._debug)
            drop_stack(error)
            headers = (*self._headers, *error.headers.items())
            return STATUS_LINES[error.status], headers, body, error.error_code
        own = answer.media_type
        headers = self._headers if own is None else ((_TYPE, own),)
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
