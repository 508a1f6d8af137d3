"""The short way to a view: answers that come later."""

from types import SimpleNamespace
from typing import Any

import pytest

from kafka_rest import errors
from kafka_rest import settings as s
from kafka_rest.api.front import Front
from kafka_rest.api.parking import LANE, Parked
from kafka_rest.api.request import PATH
from kafka_rest.api.response import Answer, Later
from kafka_rest.core.pending import Pending
from kafka_rest.records import Deadline


class Keeper:
    """Keeps the answer under way, as the server does."""

    parked: Parked

    def keep(self, parked: Parked, *_: Any) -> None:
        self.parked = parked


@pytest.mark.parametrize("failure", [errors.KafkaRetriable("No leader"), ValueError("of ours")])
def test_failure_to_render_is_answered_and_lets_go_of_its_frames(failure: Exception) -> None:
    pending: Pending[int] = Pending(Deadline(5))

    def render(_result: int) -> Answer:
        raise failure

    route: Any = SimpleNamespace(
        method="POST",
        rule="/r",
        choose=lambda _environ: SimpleNamespace(response_type="a/b"),
        admit=lambda _environ, _segments: None,
        answer=lambda _call, _segments: Later(pending, render),
    )
    clients: Any = SimpleNamespace(settings=s.load(None, {}))
    inner: Any = None
    keeper, sent = Keeper(), list[Any]()
    environ: Any = {"REQUEST_METHOD": "POST", PATH: "/r", LANE: keeper}
    assert Front(inner, clients, [route])(environ, inner) == ()
    asked: Any = SimpleNamespace(request_id="r1")
    keeper.parked.then(lambda *answer: sent.append(answer), asked)
    pending.set(7)
    expected = getattr(failure, "error_code", 500)
    assert [(answer[0].split()[0], answer[3]) for answer in sent] == [("500", expected)]
    # Its frames hold the result, and one of them the failure.
    assert failure.__traceback__ is None
