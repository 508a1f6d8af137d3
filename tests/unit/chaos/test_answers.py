import pytest

from tests.chaos.answers import AFTERMATH_SECONDS, ALLOWED, check_answers, slowest
from tests.chaos.events import FREEZE, KILL, Answer, Span

KILLED = Span(KILL, 100.0, 101.0)


def answer(
    status: int, code: int | None = None, text: str = "", begun: float = 100.0, took: float = 1.0
) -> Answer:
    return Answer("read", status, code, text, begun, begun + took, 5.0)


GONE = answer(404, 40403, "No such instance was made since this worker started 3 s ago.")


def test_success_needs_no_fault() -> None:
    found = check_answers([answer(200), answer(204)], [])
    assert found.violations == []
    assert found.counts == {"read: success": 2}


def test_listed_answer_is_counted_with_its_reason() -> None:
    found = check_answers([GONE, GONE], [KILLED])
    assert found.violations == []
    assert found.counts == {"read: 404 40403, the instance ended with its worker": 2}


@pytest.mark.parametrize(
    "unlisted",
    [
        answer(500, 500, "Internal Server Error"),
        answer(404, 40403, "Consumer instance not found."),
        answer(0, None, "RemoteDisconnected"),
        answer(200, 50003, "not acknowledged"),
        GONE._replace(what="produce"),
    ],
)
def test_any_other_answer_is_a_violation(unlisted: Answer) -> None:
    found = check_answers([unlisted, unlisted], [KILLED])
    assert len(found.violations) == 1
    assert found.violations[0].startswith("not listed: 2 x ")


@pytest.mark.parametrize(
    "spans",
    [
        [],
        [KILLED._replace(kind=FREEZE)],
        [Span(KILL, 102.0, 103.0)],
        [Span(KILL, 10.0, 99.0 - AFTERMATH_SECONDS)],
    ],
    ids=["no fault", "another fault", "before it", "long after it"],
)
def test_listed_answer_without_its_fault_is_a_violation(spans: list[Span]) -> None:
    assert len(check_answers([GONE], spans).violations) == 1


def test_answer_beyond_its_deadline_is_a_violation() -> None:
    found = check_answers([answer(200, took=5.1)], [])
    assert [text.partition(":")[0] for text in found.violations] == ["late"]


def test_slowest_is_by_kind() -> None:
    answers = [answer(200, took=0.25), answer(500, took=1.5), GONE._replace(what="commit")]
    assert slowest(answers) == {"read": 1500, "commit": 1000}


def test_every_row_has_a_reason_and_a_fault() -> None:
    assert all(row.reason and row.faults and row.whats for row in ALLOWED)
