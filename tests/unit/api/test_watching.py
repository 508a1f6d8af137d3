"""What those learn who watch the server."""

from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.api.watching import ENDPOINT, ERROR_CODE, all_of
from kafka_rest.app import create_app
from kafka_rest.kafka.registry import ClientRegistry

V2 = "application/vnd.kafka.v2+json"
AVRO = "application/vnd.kafka.avro.v1+json"


@pytest.mark.parametrize(
    ("method", "path", "headers", "endpoint", "error_code"),
    [
        ("POST", "/topics/t", {"CONTENT_TYPE": AVRO}, "api.v1.produce-to-topic.avro", 400),
        ("POST", "/topics/t", {"HTTP_ACCEPT": V2}, "api.v2.produce-to-topic.binary", 422),
        ("GET", "/nowhere", {}, None, 404),
        ("POST", "/topics/t", {"CONTENT_TYPE": "text/html"}, None, 415),
    ],
)
def test_endpoint_and_error_are_written_down(
    method: str, path: str, headers: dict[str, str], endpoint: str | None, error_code: int
) -> None:
    settings = s.load(None, {})
    clients = ClientRegistry(settings)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "RAW_URI": path,
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": SimpleNamespace(read=lambda _most: b""),
        **headers,
    }
    list(create_app(settings, clients).wsgi_app(environ, lambda *_answer: None))
    assert environ.get(ENDPOINT) == endpoint
    assert environ[ERROR_CODE] == error_code


def test_all_watchers_are_told() -> None:
    told: list[tuple[int, tuple[Any, ...]]] = []

    def watcher(number: int) -> Any:
        return lambda *said: told.append((number, said))

    for watchers in (0, 1, 2):
        told.clear()
        tell = all_of([watcher(n) for n in range(watchers)])
        if tell is not None:
            asked: Any = object()
            tell(asked, "200 OK", 3, 0)
        assert [number for number, _ in told] == list(range(watchers))
        assert all(said[1:] == ("200 OK", 3, 0) for _, said in told)
