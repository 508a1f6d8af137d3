"""The decorator that makes a function an endpoint: negotiation before it, rendering after it.

To add an endpoint, decorate one view. Routes match the raw path: a literal is not percent-decoded,
an encoded slash stays inside its segment, and one trailing slash is allowed (reference behaviour).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from flask import Blueprint, Response, current_app, g, request
from werkzeug.routing import BaseConverter

from kafka_rest.api.request import Call
from kafka_rest.api.response import Answer
from kafka_rest.errors import BadRequest
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.media import Choice, Negotiation, Variant

View = Callable[..., Answer]

CLIENTS = "kafka_rest.clients"

blueprint = Blueprint("api", __name__)


class Endpoint(NamedTuple):
    """A method and path with what it offers; `name` is the one in metrics and logs."""

    name: str
    method: str
    rule: str
    negotiation: Negotiation
    view: View


ENDPOINTS: dict[str, Endpoint] = {}


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
    name: str, method: str, rule: str, variants: tuple[Variant, ...]
) -> Callable[[View], View]:
    """Make a view the endpoint for a method and path.

    `<x>` in the rule are its arguments after `call`.
    """

    def register(view: View) -> View:
        found = Endpoint(name, method, rule, Negotiation(variants), view)
        ENDPOINTS[name] = found

        def serve(**segments: str) -> Response:
            return _serve(found, segments)

        blueprint.add_url_rule(
            rule.replace("<", "<segment:"),
            endpoint=name.replace(".", ":"),
            view_func=serve,
            methods=[method],
            provide_automatic_options=False,
        )
        return view

    return register


def _serve(found: Endpoint, segments: dict[str, str]) -> Response:
    environ = request.environ
    choice = found.negotiation.choose(environ.get("CONTENT_TYPE"), environ.get("HTTP_ACCEPT"))
    # Known from here on, so that errors are answered in the negotiated type.
    g.response_type = choice.response_type
    answer = found.view(_call(environ, choice), **checked(segments))
    if answer.body is None:
        response = Response(status=answer.status)
        del response.headers["Content-Type"]
        return response
    return Response(answer.body, answer.status, content_type=choice.response_type)


def _call(environ: Mapping[str, Any], choice: Choice) -> Call:
    clients: ClientRegistry = current_app.extensions[CLIENTS]
    return Call(environ, clients, choice)


def checked(segments: dict[str, str]) -> dict[str, str]:
    """The segments, if they are text. Raises: BadRequest where one is not UTF-8."""
    for name, value in segments.items():
        # Python keeps undecodable bytes as lone surrogates, which nothing else can bring in.
        if not value.isascii() and any("\udc80" <= c <= "\udcff" for c in value):
            raise BadRequest(f"The {name} in the path is not UTF-8.")
    return segments
