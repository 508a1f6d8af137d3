"""The WSGI application: routing on the raw path, and the one place that renders errors."""

import gzip
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Flask, Response, current_app, g, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as WerkzeugNotFound

from kafka_rest import errors
from kafka_rest import settings as s
from kafka_rest.api import consumers, cors, metadata
from kafka_rest.api.doors import Doors
from kafka_rest.api.endpoints import CLIENTS, ROUTE, Route, Segment, add_routes, routes
from kafka_rest.api.front import FAILURE, RESPONSE_TYPE, Front
from kafka_rest.api.request import PATH, raw_path
from kafka_rest.api.request_ids import request_id
from kafka_rest.api.response import drop_stack, error_body, rest_error
from kafka_rest.api.v1 import consumers as v1_consumers
from kafka_rest.api.v1 import metadata as v1_metadata
from kafka_rest.api.v1 import offers
from kafka_rest.api.v1 import produce as v1_produce
from kafka_rest.api.v2 import consumers as v2_consumers
from kafka_rest.api.v2 import metadata as v2_metadata
from kafka_rest.api.v2 import offers as v2_offers
from kafka_rest.api.v2 import produce as v2_produce
from kafka_rest.api.watching import ERROR_CODE
from kafka_rest.errors import because
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.media import Negotiation

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

VIEWS = (
    metadata,
    consumers,
    v1_metadata,
    v1_produce,
    v1_consumers,
    v2_metadata,
    v2_produce,
    v2_consumers,
)
"""The modules whose endpoints make up the API; importing them registers their views."""

COMPRESS_FROM_BYTES = 256

_anything = Negotiation(offers.BROKERS)


class _NoSession(SecureCookieSessionInterface):
    """An API without cookies needs no session; opening one would cost every request."""

    def open_session(self, app: Flask, request: Any) -> None:
        return None

    def is_null_session(self, obj: object) -> bool:
        return True

    def make_null_session(self, app: Flask) -> Any:
        return {}


class _RawPath:
    """Routes on the path as sent: an encoded slash stays inside its segment."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # Bytes beyond ASCII become escapes, so that the router never decodes anything itself.
        path = raw_path(environ)
        if not path.isascii():
            path = quote(path, safe="/%:@~!$&'()*+,;=", encoding="latin-1")
        # One trailing slash says nothing; the router would tell some of them apart.
        if path.endswith("/") and len(path) > 1:
            path = path[:-1]
        environ[PATH] = path
        # The router drops empty segments at the start, which name no resource here, and takes no
        # path for the root.
        named = path.startswith("/") and not path.startswith("//")
        environ["PATH_INFO"] = path if named else f"/%2F{path[2:]}"
        inner: Iterable[bytes] = self._inner(environ, start_response)
        return inner


def create_app(settings: s.Settings, clients: ClientRegistry | None = None) -> Flask:
    """Make the application. Opens nothing: clients are made when the first request needs them."""
    app = Flask("kafka_rest", static_folder=None)
    app.session_interface = _NoSession()
    app.extensions[CLIENTS] = clients or ClientRegistry(settings)
    app.url_map.merge_slashes = False
    app.url_map.converters["segment"] = Segment
    doors = Doors(settings[s.API_ENDPOINTS_ALLOWLIST], settings[s.API_ENDPOINTS_BLOCKLIST])
    offered = routes(_versions(settings), doors)
    add_routes(app, offered)
    # Ours is the one place that renders errors; without this, tests would see raw exceptions.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.register_error_handler(HTTPException, _framework_error)
    app.register_error_handler(Exception, _failure)
    app.before_request(_raise_failure_of_the_front)
    app.after_request(_finish)
    inner = app.wsgi_app
    if leaves_waits(settings):
        inner = Front(inner, app.extensions[CLIENTS], offered)
    app.wsgi_app = _RawPath(inner)  # type: ignore[method-assign] # Flask's documented hook
    return app


def leaves_waits(settings: s.Settings) -> bool:
    """Whether answers that come later are left to a server that can keep them."""
    # What CORS and compression add to an answer is added by Flask's own hooks.
    return not (settings[s.ACCESS_CONTROL_ALLOW_ORIGIN] or settings[s.COMPRESSION_ENABLE])


def _versions(settings: s.Settings) -> list[str]:
    """The API versions that are served."""
    enabled = {"v1": settings[s.API_V1_ENABLE], "v2": settings[s.API_V2_ENABLE]}
    return [version for version, on in enabled.items() if on]


def _raise_failure_of_the_front() -> None:
    failure = request.environ.get(FAILURE)
    if failure is not None:
        raise failure


def _settings() -> s.Settings:
    clients: ClientRegistry = current_app.extensions[CLIENTS]
    return clients.settings


def _framework_error(failure: HTTPException) -> Response:
    """What routing found: no such path, wrong method (or OPTIONS, which is answered here)."""
    drop_stack(failure)
    if isinstance(failure, MethodNotAllowed):
        methods = sorted({*(failure.valid_methods or ()), "OPTIONS"})
        if request.method == "OPTIONS":
            return Response(
                status=200, headers={"Allow": ",".join(methods)}, content_type=_asked_type()
            )
        error: errors.RestError = errors.MethodNotAllowed(headers={"Allow": ",".join(methods)})
    elif isinstance(failure, WerkzeugNotFound):
        error = errors.NotFound()
    else:
        kind = errors.ERRORS.get(failure.code or 500, errors.InternalError)
        error = because(kind, failure.description or "")
    return _rendered(error)


def _failure(failure: Exception) -> Response:
    response = _rendered(rest_error(failure, request_id(request.environ)))
    drop_stack(failure)
    return response


def _rendered(error: errors.RestError) -> Response:
    settings = _settings()
    if isinstance(error, errors.UnsupportedMediaType):
        media_type = _type_of_415(settings)
    else:
        plain = offers.V1 if settings[s.API_V1_ENABLE] else v2_offers.V2
        media_type = g.get("response_type") or request.environ.get(RESPONSE_TYPE, plain)
    body = error_body(error, settings[s.DEBUG])
    request.environ[ERROR_CODE] = error.error_code
    return Response(body, error.status, error.headers, content_type=media_type)


def _type_of_415(settings: s.Settings) -> str:
    """The type of an answer for which none could be negotiated (reference behaviour)."""
    asked = (request.environ.get("HTTP_ACCEPT") or "").split(",")
    if v2_offers.V2 in (entry.strip() for entry in asked):
        return v2_offers.V2
    route: Route | None = request.environ.get(ROUTE)
    only_v2 = route is not None and route.versions == {v2_offers.VERSION}
    return v2_offers.JSON if only_v2 else str(settings[s.RESPONSE_MEDIATYPE_DEFAULT])


def _asked_type() -> str:
    """The type of an answer to OPTIONS, which has no body."""
    if "HTTP_ACCEPT" not in request.environ:
        return "text/plain"
    try:
        return _anything.choose(None, request.environ.get("HTTP_ACCEPT")).response_type
    except errors.NotAcceptable:
        return offers.V1


def _finish(response: Response) -> Response:
    settings = _settings()
    for name, value in cors.headers(settings, request.environ).items():
        response.headers[name] = value
    if settings[s.COMPRESSION_ENABLE]:
        _compress(response)
    return response


def _compress(response: Response) -> None:
    if request.method not in ("GET", "POST"):
        return
    # Beside what may be there already: a cache must know all that the answer depends on.
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"]:
        return
    body = response.get_data()
    if len(body) >= COMPRESS_FROM_BYTES:
        response.headers["Content-Encoding"] = "gzip"
        response.set_data(gzip.compress(body, 6))
