"""The short way to a view: WSGI middleware before Flask that serves what needs nothing else.

It routes by the rules of the endpoints, negotiates, calls the view and sends its answer, without
Flask's contexts and response objects, which cost more than a view does. Everything that is not a
plain success goes on to Flask, failures included, so that there is one place that renders errors.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from kafka_rest.api.endpoints import ROUTE, Route, decoded_segment
from kafka_rest.api.request import PATH, Call
from kafka_rest.api.response import Later
from kafka_rest.kafka.registry import ClientRegistry

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FAILURE = "kafka_rest.failure"
RESPONSE_TYPE = "kafka_rest.response_type"

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


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
            environ[ROUTE] = route
            choice = route.choose(environ)
            environ[RESPONSE_TYPE] = choice.response_type
            answer = route.answer(Call(environ, self._clients, choice), segments)
            if isinstance(answer, Later):
                answer = answer.wait()
        except Exception as error:
            environ[FAILURE] = error
            return self._inner(environ, start_response)
        headers = []
        if answer.body is not None:
            headers.append(("Content-Type", answer.media_type or choice.response_type))
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(_STATUS_LINES[answer.status], headers)
        return [answer.body] if answer.body else []
