"""What a client may be told while things break, and why. All else is a violation."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kafka_rest.kafka.trouble import TROUBLE_SECONDS
from tests.chaos.check import Verdict
from tests.chaos.events import BROKER, KINDS, PROXY, Answer, Span

AFTERMATH_SECONDS = 20.0
"""How long a fault may show after it has ended: groups form anew, connections are made again."""
CONSUMERS = ("create", "subscribe", "assign", "seek", "read", "commit", "delete")
PRODUCE = ("produce", "produce slowly")
OK = range(200, 300)


class Allowed(NamedTuple):
    """A row: who may be told what beginning of a sentence, after which faults, for what reason."""

    whats: Sequence[str]
    status: int
    code: int | None
    says: str
    faults: frozenset[str]
    reason: str
    aftermath: float = AFTERMATH_SECONDS


ALLOWED = (
    Allowed(
        (*CONSUMERS, *PRODUCE), 502, 502, "no proxy answered", PROXY,
        "nginx: the proxy or its worker ended under the request",
    ),
    Allowed(
        CONSUMERS, 503, 503, "which owns this consumer", PROXY,
        "the proxy that owns the instance is away, or ended under the request",
    ),
    Allowed(
        CONSUMERS, 503, 503, "the worker that owns this consumer", PROXY,
        "the worker that owns the instance is being replaced, or ended under the request",
    ),
    Allowed(
        CONSUMERS, 404, 40403, "since this worker started", PROXY,
        "the instance ended with its worker",
    ),
    Allowed(
        ("read", "commit"), 500, 50003, "the request can be retried", BROKER,
        "Kafka could not be reached, or did not answer in time; nothing was handed out",
        # A reader that has read everything is told of the outage for as long as nothing comes.
        AFTERMATH_SECONDS + TROUBLE_SECONDS,
    ),
    Allowed(
        ("commit",), 500, 50003, "rebalance in progress", frozenset(KINDS),
        "the group is just forming anew, which readers that come and go bring about, too",
        math.inf,
    ),
    Allowed(
        ("commit",), 500, 50002, "Unknown member", PROXY | BROKER,
        "the group has gone on without the member, which did not come through for too long",
    ),
    Allowed(
        ("commit",), 500, 50002, "generation", PROXY | BROKER,
        "the group has gone on without the member, which did not come through for too long",
    ),
    Allowed(
        PRODUCE, 500, 50003, "metadata of topic", BROKER,
        "the topic could not be looked up in time; nothing was sent",
    ),
    Allowed(
        ("record",), 200, 50003, "", BROKER,
        "Kafka did not acknowledge the record in time",
    ),
)  # fmt: skip


def check_answers(
    answers: Iterable[Answer], spans: Sequence[Span], allowed: Sequence[Allowed] = ALLOWED
) -> Verdict:
    """Count the answers by the row that allows them; those that none allows, and the late ones."""
    found = Verdict()
    unlisted: dict[tuple[str, int, int | None], list[Answer]] = {}
    for answer in answers:
        row = _row_of(answer, spans, allowed)
        took = answer.ended - answer.begun
        if took > answer.deadline:
            found.violations.append(
                f"late: {took:.1f} s of {answer.deadline:.1f} s, {in_words(answer)}"
            )
        if row is None:
            key = answer.what, answer.status, answer.code
            unlisted.setdefault(key, []).append(answer)
        else:
            found.counts[row] += 1
    for alike in unlisted.values():
        found.violations.append(f"not listed: {len(alike):,} x {in_words(alike[0])}")
    return found


def in_words(answer: Answer) -> str:
    """An answer with its error."""
    return f"{answer.what}: {answer.status} {answer.code or ''} {answer.text[:300]}"


def slowest(answers: Iterable[Answer]) -> Counter[str]:
    """The longest time of each kind of request, in milliseconds."""
    found: Counter[str] = Counter()
    for answer in answers:
        found[answer.what] = max(found[answer.what], round(1000 * (answer.ended - answer.begun)))
    return found


def _row_of(answer: Answer, spans: Sequence[Span], allowed: Sequence[Allowed]) -> str | None:
    if answer.status in OK and answer.code is None:
        return f"{answer.what}: success"
    for row in allowed:
        if (
            answer.what in row.whats
            and (answer.status, answer.code) == (row.status, row.code)
            and row.says in answer.text
            and any(
                _meets(answer, span, row.aftermath) for span in spans if span.kind in row.faults
            )
        ):
            return f"{answer.what}: {answer.status} {answer.code}, {row.reason}"
    return None


def _meets(answer: Answer, span: Span, aftermath: float) -> bool:
    return span.begun <= answer.ended and answer.begun <= span.ended + aftermath
