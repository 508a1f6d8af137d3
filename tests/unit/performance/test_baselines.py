import json

import pytest

from tests.performance.answers import produce_answer
from tests.performance.bare import Outcome, together
from tests.performance.echo import answer, is_complete
from tests.performance.flask_view import app

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "complete"),
    [
        (HEAD + b"body", True),
        (HEAD + b"bod", False),
        (HEAD[:-1], False),
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nX: content\r\nCONTENT-LENGTH:  2 \r\n\r\n{", False),
    ],
)
def test_a_request_is_answered_when_it_is_there(data: bytes, complete: bool) -> None:
    assert is_complete(data) is complete


def test_the_echo_says_how_long_its_answer_is() -> None:
    head, _, body = answer().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")


def test_the_empty_view_answers_as_much_as_a_proxy() -> None:
    body = json.dumps({"records": [{"value": {"a": 1}}] * 3})
    reply = app.test_client().post("/topics/t", data=body)
    assert reply.data == produce_answer(3)
    assert len(json.loads(reply.data)["offsets"]) == 3


def test_processes_side_by_side_add_up() -> None:
    found = together([Outcome(10, 1.0, 0.5, [1.0]), Outcome(5, 1.1, 0.2, [2.0, 3.0])])
    assert found == Outcome(15, 1.1, 0.7, [1.0, 2.0, 3.0])
