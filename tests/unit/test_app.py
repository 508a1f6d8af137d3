"""What the application leaves behind when a request has been answered."""

import gc
import io
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.app import create_app

JSON_V2 = "application/vnd.kafka.json.v2+json"
REFUSED = {
    "a broken body": ("POST", "/topics/t", b'{"records":[', JSON_V2),
    "a wrong type": ("POST", "/topics/t", b'{"records":5}', JSON_V2),
    "another type of body": ("POST", "/topics/t", b'{"records":[]}', "text/plain"),
    "an unknown path": ("POST", "/no/such/path", b"{}", JSON_V2),
    "an unknown method": ("DELETE", "/topics/t", b"{}", JSON_V2),
    "the question what is allowed": ("OPTIONS", "/topics/t", b"", JSON_V2),
}


class Body(io.BytesIO):
    """The body of a request, of which one can tell whether it is held."""


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Cycles stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("origin", ["", "*"], ids=["front", "flask"])
@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.usefixtures("_no_collector")
def test_refused_request_holds_nothing_once_it_is_answered(why: str, origin: str) -> None:
    method, path, content, content_type = REFUSED[why]
    body = Body(content)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(content)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
    }
    held = weakref.ref(body)
    # With CORS every request goes through Flask.
    app = create_app(s.load(None, {"KAFKA_REST_ACCESS_CONTROL_ALLOW_ORIGIN": origin}))
    statuses: list[str] = []
    answer: Any = app.wsgi_app(environ, lambda status, *_: statuses.append(status))
    answer.close()
    del body, environ, answer
    assert len(statuses) == 1
    assert held() is None


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_caches_are_told_all_that_an_answer_depends_on(accepted: str) -> None:
    overrides = ["access.control.allow.origin=http://a,http://b", "compression.enable=true"]
    client = create_app(s.load(overrides=overrides)).test_client()
    headers = {"Origin": "http://a", "Accept-Encoding": accepted}
    assert client.get("/no/such/path", headers=headers).headers["Vary"] == "Origin, Accept-Encoding"
