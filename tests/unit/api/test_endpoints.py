"""Endpoints: what a view that refuses a request leaves behind."""

import gc
import io
import weakref
from typing import Any

import pytest

from kafka_rest import app
from kafka_rest import settings as s
from kafka_rest.api.doors import Doors
from kafka_rest.api.endpoints import routes
from kafka_rest.api.request import Call
from kafka_rest.api.rights import NEEDS
from kafka_rest.api.watching import ENDPOINT
from kafka_rest.errors import NotFound, RestError
from kafka_rest.kafka.registry import ClientRegistry


class Body(io.BytesIO):
    """The body of a request, of which one can tell whether it is held."""


@pytest.mark.parametrize("content", [b'{"records":[', b'{"records":5}'])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_refusal_that_nobody_renders_holds_nothing(version: str, content: bytes) -> None:
    assert app.VIEWS  # imported: their endpoints are known
    offered = routes([version], Doors())
    (route,) = (r for r in offered if (r.method, r.rule) == ("POST", "/topics/<topic>"))
    body = Body(content)
    held = weakref.ref(body)
    environ: dict[str, Any] = {
        "CONTENT_TYPE": f"application/vnd.kafka.json.{version}+json",
        "wsgi.input": body,
    }
    call = Call(environ, ClientRegistry(s.load(None, {})), route.choose(environ))
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(RestError) as refusal:
            route.answer(call, {"topic": "t"})
        del refusal, body, environ, call
        assert held() is None
    finally:
        gc.enable()


def test_every_endpoint_says_which_rights_it_takes() -> None:
    assert app.VIEWS
    assert {route.name for route in routes(["v1", "v2"], Doors())} == set(NEEDS)


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("application/vnd.kafka.jsonschema.v2+json", "api.v2.consumers.consume-json-schema"),
        ("application/vnd.kafka.v2+json", "api.v2.consumers.consume-binary"),
        ("application/json", "api.v2.consumers.consume"),
    ],
)
def test_read_is_named_by_the_format_that_is_asked_for(accept: str, name: str) -> None:
    assert app.VIEWS
    offered = routes(["v2"], Doors(blocked=frozenset({name})))
    (route,) = (r for r in offered if r.name.startswith("consumers.consume"))
    environ: dict[str, Any] = {"HTTP_ACCEPT": accept}
    call = Call(environ, ClientRegistry(s.load(None, {})), route.choose(environ))
    assert environ[ENDPOINT] == name
    with pytest.raises(NotFound):
        route.answer(call, {"group": "g", "instance": "i"})
