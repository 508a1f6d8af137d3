"""A short chaos: each fault once under load, and every record is accounted for."""

import random

import pytest

from tests.chaos.events import KINDS
from tests.chaos.run import GROUPS, Outcome, run
from tests.chaos.schedule import one_of_each
from tests.chaos.site import site


@pytest.fixture(scope="module")
def outcome(lane: str) -> Outcome:
    """What came of it; about 80 s with all that starts and settles around the 30 s of faults."""
    if lane == "embedded":
        pytest.skip("the embedded broker keeps nothing when it ends")
    seed = random.randrange(10**6)
    with site({}) as where:
        found = run(where, seed, one_of_each(seed))
    print(found.table())
    return found


def test_nothing_happens_that_must_not(outcome: Outcome) -> None:
    assert outcome.violations == [], outcome.table()


def test_every_fault_was_there_and_the_load_as_well(outcome: Outcome) -> None:
    assert set(outcome.faults) == set(KINDS)
    records, reads = outcome.checks["records"].counts, outcome.checks["reads"].counts
    assert records["acknowledged"] > 1000
    assert reads["handed out"] - reads["handed out again"] == len(GROUPS) * records["stored"]
    told = outcome.checks["answers"].counts
    assert told["produce slowly: success"]
    assert any(": 50" in row for row in told), "no fault has shown: nothing was put to the test"
