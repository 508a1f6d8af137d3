"""A thin client of the schema registry: one HTTP call per method, bounded, with failover between
URLs.

No cache and no retries of the same URL: `schemas.resolve` caches, and a client can repeat its
request.
"""

import json
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import requests
import urllib3.exceptions

from kafka_rest.answers import TooLong, content_of
from kafka_rest.errors import (
    RegistryForbidden,
    RegistryUnauthenticated,
    SchemaRegistryFailure,
    because,
)
from kafka_rest.metrics import Cells
from kafka_rest.metrics.table import SCHEMA_CALL_SECONDS
from kafka_rest.records import DEFAULT_SCHEMA_TYPE, Deadline, SchemaReference
from kafka_rest.schemas.tls import TlsAdapter, tls_reason
from kafka_rest.settings.secrets import without_user_info

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
LEAST_TIMEOUT_SECONDS = 0.01
MOST_BYTES = 1 << 24
"""Of an answer; schemas have some thousands."""
TEXT_LIMIT = 300
_REFUSALS = {401: RegistryUnauthenticated, 403: RegistryForbidden}


class Place(NamedTuple):
    """One URL, without the credentials that it may have held."""

    url: str
    auth: tuple[str, str] | None

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


class SchemaRegistryClient:
    """Speaks to one schema registry that may have several URLs. Thread-safe; `close` frees its
    sessions. `user_info` is USER:PASSWORD for URLs without, `token` a bearer token in its place.

    Every method raises `SchemaRegistryFailure` with the registry's own code and text, or why none
    of the URLs could be reached, and takes at most the deadline or `timeout_seconds` for each URL.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout_seconds: float,
        user_info: str = "",
        session: type[requests.Session] = requests.Session,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        cells: Cells | None = None,
    ) -> None:
        self._cells = cells or Cells()
        user, _, password = user_info.partition(":")
        auth = (user, password) if user_info else None
        self.places = [Place(without_user_info(url), _auth_of(url) or auth) for url in urls]
        """Where it asks, and who it is there."""
        self._timeout, self._token, self._tls = timeout_seconds, token, tls
        self._make_session = session
        # A session is not safe to share: each thread has its own, and all are closed at the end.
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self._best = 0

    def schema_by_id(self, schema_id: int, deadline: Deadline) -> Mapping[str, Any]:
        """The registered schema: `schema`, and `schemaType` and `references` where it has them."""
        about = f"lookup of id {schema_id}"
        return _object(self._call("GET", f"/schemas/ids/{schema_id}", None, deadline, about), about)

    def version(self, subject: str, version: int | str, deadline: Deadline) -> Mapping[str, Any]:
        """One version of a subject, `latest` included: `id`, `schema`, ..."""
        path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
        about = f"lookup of version {version} of subject {subject}"
        return _object(self._call("GET", path, None, deadline, about), about)

    def register(
        self,
        subject: str,
        schema_type: str,
        text: str,
        references: Sequence[SchemaReference],
        deadline: Deadline,
    ) -> int:
        """Register a schema under a subject, or find it there; its id."""
        body: dict[str, Any] = {"schema": text}
        if schema_type != DEFAULT_SCHEMA_TYPE:
            # Old registries refuse the member.
            body["schemaType"] = schema_type
        if references:
            body["references"] = [
                {"name": r.name, "subject": r.subject, "version": r.version} for r in references
            ]
        path = f"/subjects/{quote(subject, safe='')}/versions"
        about = f"registration under subject {subject}"
        answer = self._call("POST", path, body, deadline, about)
        schema_id = _object(answer, about).get("id")
        if not isinstance(schema_id, int):
            raise because(SchemaRegistryFailure, f"({about}): the answer holds no id.")
        return schema_id

    def subjects_of(self, schema_id: int, deadline: Deadline) -> frozenset[str]:
        """The subjects under which a schema is registered."""
        about = f"lookup of the subjects of id {schema_id}"
        found = self._call("GET", f"/schemas/ids/{schema_id}/versions", None, deadline, about)
        if not isinstance(found, list):
            raise because(SchemaRegistryFailure, f"({about}): the answer is not a JSON array.")
        return frozenset(str(place.get("subject")) for place in found if isinstance(place, dict))

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def _call(self, method: str, path: str, body: Any, deadline: Deadline, about: str) -> Any:
        failures: list[str] = []
        count = len(self.places)
        for number in range(count):
            place = (self._best + number) % count
            timeout = max(LEAST_TIMEOUT_SECONDS, min(self._timeout, deadline.left()))
            started, in_time = time.monotonic(), Deadline(timeout)
            try:
                # Leaving the block closes the connection, unless all of the answer was read.
                with self._session().request(
                    method,
                    self.places[place].url + path,
                    json=body,
                    auth=self.places[place].auth,
                    timeout=timeout,
                    headers={
                        "Content-Type": MEDIA_TYPE,
                        "Accept": f"{MEDIA_TYPE}, application/json",
                    },
                    stream=True,
                ) as answer:
                    raw = _body(answer, in_time)
            except requests.RequestException as error:
                self._observe(started, "unreachable")
                failures.append(f"{self.places[place].host}: {_reason(error)}")
                if deadline.expired:
                    break
                continue
            except TooLong as error:
                # Another URL's would be as long.
                self._observe(started, "answered")
                raise because(SchemaRegistryFailure, f"({about}): {error}.") from error
            self._observe(started, "refused" if answer.status_code >= 400 else "answered")
            self._best = place
            return _content(answer, raw, about)
        if not failures:
            raise because(SchemaRegistryFailure, f"({about}): schema.registry.url is empty.")
        raise because(SchemaRegistryFailure, f"({about}): unreachable, {'; '.join(failures)}")

    def _observe(self, started: float, outcome: str) -> None:
        self._cells.observe(SCHEMA_CALL_SECONDS, time.monotonic() - started, outcome)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._make_session()
            if self._token:
                session.headers["Authorization"] = f"Bearer {self._token}"
            if self._tls is not None:
                session.mount("https://", TlsAdapter(self._tls))
            # A proxy of the environment is not for a registry that the settings name.
            session.trust_env = False
            with self._lock:
                self._sessions.append(session)
        return session


def _body(answer: requests.Response, deadline: Deadline) -> bytes:
    """The body; its errors are those that the library has where it reads by itself.

    Raises: requests.RequestException, TooLong.
    """
    # A head that trickles in is bounded by http.client's limits of its size alone.
    answer.raw.decode_content = True
    try:
        return content_of(answer.raw, deadline, MOST_BYTES)
    except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
        raise requests.ReadTimeout from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError from error


def _content(answer: requests.Response, raw: bytes, about: str) -> Any:
    try:
        content = json.loads(raw)
    except ValueError:
        content = None
    refusal = _REFUSALS.get(answer.status_code)
    if refusal is not None:
        what = "credentials" if answer.status_code == 401 else "right to do that"
        raise because(
            refusal,
            f"({about}): the schema registry refused the proxy's {what} ({answer.status_code}).",
        )
    if answer.status_code >= 400:
        code = (
            content.get("error_code", answer.status_code)
            if isinstance(content, dict)
            else answer.status_code
        )
        text = content.get("message", "") if isinstance(content, dict) else answer.reason
        raise because(
            SchemaRegistryFailure,
            f"({about}): the schema registry answered {code}: {str(text)[:TEXT_LIMIT]}",
        )
    if content is None:
        raise because(SchemaRegistryFailure, f"({about}): the answer is not JSON.")
    return content


def _object(content: Any, about: str) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise because(SchemaRegistryFailure, f"({about}): the answer is not a JSON object.")
    return content


def _auth_of(url: str) -> tuple[str, str] | None:
    """The credentials in a URL."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def _reason(error: requests.RequestException) -> str:
    """What went wrong in words of ours: the library's repeat the URL, credentials and all."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the TLS handshake failed: {tls_reason(error) or 'no reason given'}"
    if isinstance(error, requests.ConnectionError):
        refused = tls_reason(error)
        return f"no connection: {refused}" if refused else "no connection"
    return type(error).__name__
