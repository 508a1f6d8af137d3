"""Which answers of the ordinary way have their request's id."""

import re
from typing import Any

import pytest

from kafka_rest.api.request_ids import GIVEN, HEADER, request_id
from kafka_rest.server.identified import Identified


class Answers:
    """An application that answers with one status, having looked up the request's id."""

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers, self.id = status, headers, ""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        self.id = environ[GIVEN] = request_id(environ)
        start_response(self.status, self.headers)
        return [b"body"]


def answered(app: Answers, environ: dict[str, Any], always: bool = False) -> list[str]:
    """The ids in the head of the answer."""
    heads: list[Any] = []
    body = Identified(app, always)(environ, lambda *head: heads.append(head))  # type: ignore[arg-type,func-returns-value]
    assert list(body) == [b"body"]
    status, headers, exc_info = heads[0]
    assert (status, exc_info) == (app.status, None)
    assert [pair for pair in headers if pair[0] != HEADER] == [("A", "b")]
    return [value for name, value in headers if name == HEADER]


@pytest.mark.parametrize(
    ("status", "given", "always", "named"),
    [
        ("200 OK", "r1", False, True),
        ("200 OK", "not fit", False, True),
        ("200 OK", None, False, False),
        ("200 OK", None, True, True),
        ("204 No Content", None, False, False),
        ("400 Bad Request", None, False, True),
        ("503 Service Unavailable", "r1", False, True),
    ],
)
def test_answer_is_named(status: str, given: str | None, always: bool, named: bool) -> None:
    for of_the_owner in ([], [(HEADER, "another")]):
        app = Answers(status, [("A", "b"), *of_the_owner])
        environ = {} if given is None else {GIVEN: given}
        found = answered(app, environ, always)
        assert found == ([app.id] if named else [])
        assert (app.id == given) == (given == "r1")
        assert given == "r1" or re.fullmatch("[0-9a-f]{32}", app.id)
