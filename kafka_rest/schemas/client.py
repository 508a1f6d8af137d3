"""A thin client of the schema registry: one HTTP call per method, bounded, with failover between
URLs.

No cache and no retries of the same URL: `schemas.resolve` caches, and a client can repeat its
request.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from kafka_rest.errors import SchemaRegistryFailure, because
from kafka_rest.records import DEFAULT_SCHEMA_TYPE, Deadline, SchemaReference

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
LEAST_TIMEOUT_SECONDS = 0.01
TEXT_LIMIT = 300


class SchemaRegistryClient:
    """Speaks to one schema registry that may have several URLs. Thread-safe; `close` frees its
    sessions.

    Every method raises `SchemaRegistryFailure` with the registry's own code and text, or why none
    of the URLs could be reached, and takes at most the deadline or `timeout_seconds` for each URL.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout_seconds: float,
        user_info: str = "",
        session: type[requests.Session] = requests.Session,
    ) -> None:
        self._urls = list(urls)
        self._timeout = timeout_seconds
        user, _, password = user_info.partition(":")
        self._auth = (user, password) if user_info else None
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
        count = len(self._urls)
        for number in range(count):
            place = (self._best + number) % count
            timeout = max(LEAST_TIMEOUT_SECONDS, min(self._timeout, deadline.left()))
            try:
                answer = self._session().request(
                    method,
                    self._urls[place] + path,
                    json=body,
                    timeout=timeout,
                    headers={
                        "Content-Type": MEDIA_TYPE,
                        "Accept": f"{MEDIA_TYPE}, application/json",
                    },
                )
            except requests.RequestException as error:
                failures.append(f"{_host(self._urls[place])}: {_reason(error)}")
                if deadline.expired:
                    break
                continue
            self._best = place
            return _content(answer, about)
        if not failures:
            raise because(SchemaRegistryFailure, f"({about}): schema.registry.url is empty.")
        raise because(SchemaRegistryFailure, f"({about}): unreachable, {'; '.join(failures)}")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._make_session()
            session.auth = self._auth
            # A proxy of the environment is not for a registry that the settings name.
            session.trust_env = False
            with self._lock:
                self._sessions.append(session)
        return session


def _content(answer: requests.Response, about: str) -> Any:
    try:
        content = answer.json()
    except ValueError:
        content = None
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


def _host(url: str) -> str:
    """Host and port: a URL may hold credentials."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _reason(error: requests.RequestException) -> str:
    """What went wrong in words of ours: the library's repeat the URL, credentials and all."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS handshake failed"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
