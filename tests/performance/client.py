"""A plain client of any proxy that speaks v1 or v2: one kept connection for each thread."""

import http.client
import json
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tests.stack import Reply

# A connection that has been idle for longer may be closed by the server at any moment.
IDLE_SECONDS = 1.0
# A proxy may have as many reads under way as it takes: it is asked again, as a client would.
BUSY_PAUSE_SECONDS, BUSY_SECONDS = 0.02, 10.0
TOO_MANY = 429
REFUSAL_LENGTH = 60
T = TypeVar("T")


class Refused(Exception):
    """A server did not do what a case needs; the text is its status and the start of its answer."""

    @classmethod
    def by(cls, reply: Reply) -> "Refused":
        """What a reply says."""
        text = " ".join(reply.body.decode(errors="replace").split()).replace("|", "/")
        return cls(f"{reply.status} {text[:REFUSAL_LENGTH]}".strip())


class Client:
    """Requests to one proxy, from any thread."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._host = urlsplit(self.url).netloc
        self._mine = threading.local()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Reply:
        """One request; a body that is not bytes is sent as JSON. Nothing is tried twice.

        Raises: OSError, http.client.HTTPException where no answer came.
        """
        data = json.dumps(body).encode() if body is not None and type(body) is not bytes else body
        connection = self._connection(timeout)
        try:
            connection.request(method, path, data, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            self.close()
            raise
        self._mine.used = time.monotonic()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        connection = getattr(self._mine, "connection", None)
        if connection is None or time.monotonic() - self._mine.used > IDLE_SECONDS:
            self.close()
            connection = http.client.HTTPConnection(self._host)
            self._mine.connection = connection
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def close(self) -> None:
        """Close the calling thread's connection."""
        connection = getattr(self._mine, "connection", None)
        if connection is not None:
            connection.close()
        self._mine.connection = None

    def produce(self, version: str, format_name: str, topic: str, body: Any) -> Reply:
        """POST to a topic, in an API version and an embedded format."""
        return self.request("POST", f"/topics/{topic}", body, produce_type(version, format_name))

    def v2(self, method: str, path: str, body: Any = None) -> Reply:
        """A v2 request that carries no records."""
        plain = "application/vnd.kafka.v2+json"
        headers = {"Accept": plain} | ({"Content-Type": plain} if body is not None else {})
        return self.request(method, path, body, headers)

    def create_consumer(self, format_name: str) -> str:
        """Create a v2 consumer of a group of its own that reads from the start; its path.

        Raises: Refused.
        """
        options = {"format": format_name, "auto.offset.reset": "earliest"}
        made = self.v2("POST", f"/consumers/g{uuid.uuid4().hex[:10]}", options)
        if made.status != 200:
            raise Refused.by(made)
        return urlsplit(field_of(made, "base_uri", str)).path

    def reader(self, format_name: str, topic: str, partition: int) -> str:
        """Create a v2 consumer that reads one partition; its path. Raises: Refused."""
        consumer = self.create_consumer(format_name)
        body = {"partitions": [{"topic": topic, "partition": partition}]}
        assigned = self.v2("POST", f"{consumer}/assignments", body)
        if assigned.status != 204:
            raise Refused.by(assigned)
        return consumer

    def read(self, consumer: str, format_name: str, timeout_ms: int) -> Reply:
        """Read up to 1 MB; waits so long for a first record, and 10 s while the proxy is too busy.

        Raises: Refused.
        """
        path = f"{consumer}/records?max_bytes=1000000&timeout={timeout_ms}"
        accept = {"Accept": f"application/vnd.kafka.{format_name}.v2+json"}
        end = time.monotonic() + BUSY_SECONDS
        while True:
            reply = self.request("GET", path, headers=accept)
            if reply.status != TOO_MANY or time.monotonic() > end:
                break
            time.sleep(BUSY_PAUSE_SECONDS)
        if reply.status != 200:
            raise Refused.by(reply)
        return reply


def produce_type(version: str, format_name: str) -> dict[str, str]:
    """The header of a produce request."""
    return {"Content-Type": f"application/vnd.kafka.{format_name}.{version}+json"}


def field_of(reply: Reply, name: str, kind: type[T]) -> T:
    """A field of an answer: another proxy's success need not look like ours. Raises: Refused."""
    with suppress(ValueError, LookupError, TypeError):
        found = reply.json[name]
        if isinstance(found, kind):
            return found
    raise Refused.by(reply)


def record_count(reply: Reply) -> int:
    """How many records an answer to a read has, without the cost of parsing it."""
    return reply.body.count(b'"offset":')
