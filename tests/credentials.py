"""Clients of the tests that have to say who they are."""

import base64
import uuid

import bcrypt

PASSWORDS = {name: f"planted-{uuid.uuid4().hex}" for name in ("alice", "bob", "eve", "boss")}


def basic(name: str, password: str = "") -> str:
    """The Authorization header of a user."""
    text = f"{name}:{password or PASSWORDS[name]}"
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def htpasswd(**passwords: str) -> str:
    """A file of users."""
    return "".join(
        f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
        for name, password in passwords.items()
    )


def produce_as(authorization: str, path: str) -> bytes:
    """A produce request as it comes from a client."""
    body = b'{"records":[{"value":1}]}'
    return (
        f"POST {path} HTTP/1.1\r\nHost: kafka\r\nAuthorization: {authorization}\r\n"
        "Content-Type: application/vnd.kafka.json.v2+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
