import re
from typing import Any

import pytest

from tests.performance.client import Client, Refused, record_count
from tests.stack import Reply

RECORDS = Reply(200, {}, b'[{"offset":1,"value":"a"},{"offset": 2,"value":"b"}]')


class Scripted(Client):
    """A client whose answers are given."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__("http://none")
        self.replies = list(replies)

    def request(self, *_request: Any, **_options: Any) -> Reply:
        return self.replies.pop(0)


def test_a_proxy_that_is_busy_is_asked_again() -> None:
    busy = Reply(429, {}, b"")
    assert Scripted(busy, busy, RECORDS).read("/c", "json", 10) is RECORDS


def test_any_other_answer_is_a_refusal() -> None:
    with pytest.raises(Refused, match="406 why"):
        Scripted(Reply(406, {}, b"why"), RECORDS).read("/c", "json", 10)


def test_a_consumer_that_was_not_made_is_a_refusal() -> None:
    with pytest.raises(Refused, match="422"):
        Scripted(Reply(422, {}, b"")).reader("json", "t", 0)


def test_a_consumer_is_found_by_its_path() -> None:
    made = Reply(200, {}, b'{"base_uri": "http://other:1/consumers/g/instances/i"}')
    assert Scripted(made, Reply(204, {}, b"")).reader("json", "t", 0) == "/consumers/g/instances/i"


def test_records_are_counted_without_parsing() -> None:
    assert record_count(RECORDS) == 2
    assert record_count(Reply(200, {}, b"[]")) == 0


@pytest.mark.parametrize("body", [b"", b"made", b"[]", b"null", b"{}", b'{"base_uri": 7}'])
def test_a_success_of_another_shape_is_a_refusal(body: bytes) -> None:
    with pytest.raises(Refused, match=f"^{re.escape(f'200 {body.decode()}'.strip())}$"):
        Scripted(Reply(200, {}, body)).create_consumer("json")
