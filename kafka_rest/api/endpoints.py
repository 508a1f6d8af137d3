"""The decorator that makes a function an endpoint: negotiation before it, rendering after it.

To add an endpoint, decorate one view. Two API versions that answer a request differently each
decorate a view of their own for the same method and path. Routes match the raw path: a literal is
not percent-decoded, an encoded slash stays inside its segment, and one trailing slash is allowed
(reference behaviour).
"""

import functools
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, current_app, g, request
from msgspec.structs import replace
from werkzeug.routing import BaseConverter

from kafka_rest.api.doors import Doors
from kafka_rest.api.request import Call
from kafka_rest.api.response import Answer, Later
from kafka_rest.api.rights import RIGHTS, admit
from kafka_rest.api.v2.errors import differs_in_v2, in_v2
from kafka_rest.api.watching import ENDPOINT
from kafka_rest.errors import BadRequest, RestError
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.media import Choice, Negotiation, Variant

View = Callable[..., Answer | Later]

CLIENTS = "kafka_rest.clients"
ROUTE = "kafka_rest.route"
"""Where the route of a request stands in its environ."""


@dataclass
class Endpoint:
    """A method and path with the views of each API version.

    `name` is the reference's, where it has one, without `api.VERSION.` before it; `{format}` in it
    stands for the embedded format. Where the request leaves that open, the name ends before it.
    """

    name: str
    method: str
    rule: str
    views: dict[str, tuple[tuple[Variant, ...], View]] = field(default_factory=dict)


ENDPOINTS: dict[tuple[str, str], Endpoint] = {}


class Route:
    """An endpoint as one server offers it: without the API versions that are switched off."""

    def __init__(self, endpoint: Endpoint, versions: Collection[str], doors: Doors) -> None:
        self._doors = doors
        served = {v: found for v, found in sorted(endpoint.views.items()) if v in versions}
        self.name, self.method, self.rule = endpoint.name, endpoint.method, endpoint.rule
        self.versions = frozenset(served)
        self._views = {version: view for version, (_, view) in served.items()}
        self._negotiation = Negotiation([v for offered, _ in served.values() for v in offered])

    def choose(self, environ: MutableMapping[str, Any]) -> Choice:
        """Negotiate, and write down in the environ what is asked for.

        Raises: UnsupportedMediaType, NotAcceptable.
        """
        environ[ROUTE] = self
        choice = self._negotiation.choose(environ.get("CONTENT_TYPE"), environ.get("HTTP_ACCEPT"))
        environ[ENDPOINT] = _resource(self.name, choice.variant)
        return choice

    def admit(self, environ: Mapping[str, Any], segments: dict[str, str]) -> None:
        """Refuse a client without the rights that the path takes. Raises: TopicForbidden."""
        if RIGHTS in environ:
            admit(environ, self.name, checked(segments))

    def answer(self, call: Call, segments: dict[str, str]) -> Answer | Later:
        """What the view of the negotiated version answers, now or later.

        Raises: that version's errors, as rendering a later answer does.
        """
        variant = call.choice.variant
        version = variant.version
        if self._doors.some_are_closed:
            self._doors.require_open(_resource(self.name, variant), self.method)
        try:
            answer = self._views[version](call, **checked(segments))
        except RestError as error:
            # Never from itself: nothing but the collector would free it, with body and frames.
            if version == "v2" and differs_in_v2(error):
                raise in_v2(error) from error
            raise
        if version == "v2" and isinstance(answer, Later) and answer.raises:
            return replace(answer, render=functools.partial(_rendered_in_v2, answer.render))
        return answer


def _rendered_in_v2(render: Callable[[Any], Answer], result: Any) -> Answer:
    try:
        return render(result)
    except RestError as error:
        raise in_v2(error) from error


@functools.lru_cache(512)
def _resource(name: str, variant: Variant) -> str:
    """The name of what is asked for, as the lists of endpoints have it."""
    if variant.embedded_format is None:
        # Also a read in whatever format the instance has.
        return f"api.{variant.version}.{name.removesuffix('-{format}')}"
    format_name = variant.embedded_format.replace("jsonschema", "json-schema")
    return f"api.{variant.version}.{name.format(format=format_name)}"


def routes(versions: Collection[str], doors: Doors) -> list[Route]:
    """The endpoints that these API versions offer."""
    found = [Route(endpoint, versions, doors) for endpoint in ENDPOINTS.values()]
    return [route for route in found if route.versions]


class Segment(BaseConverter):
    """One path segment, percent-decoded here."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        """The decoded segment."""
        return decoded_segment(value)


def decoded_segment(text: str) -> str:
    """A segment without its escapes.

    Undecodable bytes are kept as surrogates for `checked` to see.
    """
    if "%" not in text:
        return text
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def endpoint(
    name: str, method: str, rule: str, *offers: tuple[Variant, ...]
) -> Callable[[View], View]:
    """Make a view the endpoint for a method and path, in the versions of the offers.

    `<x>` in the rule are its arguments after `call`.
    """

    def register(view: View) -> View:
        found = ENDPOINTS.setdefault((method, rule), Endpoint(name, method, rule))
        for variants in offers:
            version = variants[0].version
            assert version not in found.views, f"{method} {rule} has two views in {version}"
            found.views[version] = (variants, view)
        return view

    return register


def add_routes(app: Flask, offered: list[Route]) -> None:
    """Let Flask serve the routes."""
    for route in offered:
        app.add_url_rule(
            route.rule.replace("<", "<segment:"),
            endpoint=f"{route.method} {route.rule}",
            view_func=_server(route),
            methods=[route.method],
            provide_automatic_options=False,
        )


def _server(route: Route) -> Callable[..., Response]:
    def serve(**segments: str) -> Response:
        choice = route.choose(request.environ)
        # Known from here on, so that errors are answered in the negotiated type.
        g.response_type = choice.response_type
        clients: ClientRegistry = current_app.extensions[CLIENTS]
        route.admit(request.environ, segments)
        answer = route.answer(Call(request.environ, clients, choice), segments)
        if isinstance(answer, Later):
            answer = answer.wait()
        if answer.body is None:
            response = Response(status=answer.status)
            del response.headers["Content-Type"]
            return response
        media_type = answer.media_type or choice.response_type
        return Response(answer.body, answer.status, content_type=media_type)

    return serve


def checked(segments: dict[str, str]) -> dict[str, str]:
    """The segments, if they are text. Raises: BadRequest where one is not UTF-8."""
    for name, value in segments.items():
        # Python keeps undecodable bytes as lone surrogates, which nothing else can bring in.
        if not value.isascii() and any("\udc80" <= c <= "\udcff" for c in value):
            raise BadRequest(f"The {name} in the path is not UTF-8.")
    return segments
