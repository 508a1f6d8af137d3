"""A token endpoint for the tests: client credentials in, a token that nobody signed out."""

import base64
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.serving import serving

CLIENT = "alice"
SECRET = "token-secret"


@contextmanager
def token_endpoint(certificate: Path | None = None) -> Iterator[str]:
    """Serve tokens for CLIENT with SECRET, whose subject is the client; yields the URL.

    By https with a certificate, a PEM file that holds its key.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}/token"


class _Tokens(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {expected}":
            self._answer(200, {"access_token": _token(CLIENT), "token_type": "bearer"})
        else:
            self._answer(401, {"error": "invalid_client", "error_description": "no such client"})

    def log_message(self, *_args: object) -> None:
        """Nothing."""

    def _answer(self, status: int, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _token(subject: str) -> str:
    now = int(time.time())
    parts = {"alg": "none"}, {"sub": subject, "iat": now, "exp": now + 3600}
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*texts, ""])
