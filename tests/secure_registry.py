"""The embedded schema registry behind TLS and passwords, in a thread of the tests."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Response, request
from werkzeug.serving import make_server

from kafka_rest.devstack.schema_registry import create_registry
from tests.serving import serving

USER, PASSWORD, READER, TOKEN = "alice", "al:ice@secret", "reader", "bearer-secret"


@contextmanager
def secure_registry(
    certificates: Path | None, client_certificates: bool = False, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Serve a registry for USER, for TOKEN, and for reading for READER; yields its base URL."""
    app = create_registry()
    app.before_request(_refusal)
    context = None
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem")
        if client_certificates:
            context.load_verify_locations(certificates / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
    server = make_server(host, 0, app, threaded=True, ssl_context=context)
    with serving(server):
        yield f"http{'s' if context else ''}://{host}:{server.server_port}"


def _refusal() -> Response | None:
    given = request.authorization
    if given is not None and (given.token == TOKEN or given.password == PASSWORD):
        if given.username == READER and request.method != "GET":
            return Response('{"error_code":40301,"message":"User is denied"}', 403)
        return None
    return Response('{"error_code":401,"message":"Unauthorized"}', 401)
