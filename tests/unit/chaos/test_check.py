from tests.chaos.check import Verdict, check_log, check_reads
from tests.chaos.events import Attempted, Committed, Event, Handed, Place

P0 = [Place(0, offset) for offset in range(5)]
LOG = {place: 10 + place.offset for place in P0}
SENT = dict.fromkeys(LOG.values(), 1)
ACKNOWLEDGED = {number: place for place, number in LOG.items()}


def kinds(verdict: Verdict) -> list[str]:
    """The first word of each violation."""
    return [text.partition(":")[0] for text in verdict.violations]


def handed(first: int, last: int, session: str = "s", group: str = "g") -> list[Event]:
    """Offsets of partition 0, the last one included, as they lie in the log."""
    return [Handed(group, session, P0[n], LOG[P0[n]]) for n in range(first, last + 1)]


def commit(next_offset: int) -> list[Event]:
    """A commit that was asked for and is done."""
    return [Attempted("g", 0, next_offset), Committed("g", 0, next_offset)]


def reads(*events: list[Event], groups: tuple[str, ...] = ("g",)) -> Verdict:
    return check_reads([event for some in events for event in some], LOG, groups)


def test_log_of_what_was_acknowledged_is_right() -> None:
    found = check_log(SENT, ACKNOWLEDGED, LOG, may_repeat=False)
    assert found.violations == []
    assert found.counts["acknowledged"] == found.counts["stored"] == 5
    assert found.counts["stored though not acknowledged"] == 0


def test_acknowledged_record_that_is_not_stored_is_lost() -> None:
    log = {place: number for place, number in LOG.items() if number != 13}
    assert kinds(check_log(SENT, ACKNOWLEDGED, log, may_repeat=True)) == ["lost"]


def test_acknowledged_record_that_lies_elsewhere_is_lost() -> None:
    log = LOG | {P0[3]: 14, P0[4]: 13}
    assert kinds(check_log(SENT, ACKNOWLEDGED, log, may_repeat=True)) == ["lost", "lost"]


def test_stored_record_that_nobody_sent_is_invented() -> None:
    log = LOG | {Place(1, 0): 99}
    assert kinds(check_log(SENT, ACKNOWLEDGED, log, may_repeat=True)) == ["invented"]


def test_copies_of_unacknowledged_attempts_are_counted() -> None:
    sent = SENT | {14: 3, 20: 2}
    log = LOG | {Place(1, 0): 14, Place(1, 1): 14, Place(1, 2): 20, Place(1, 3): 20}
    found = check_log(sent, ACKNOWLEDGED, log, may_repeat=False)
    assert found.violations == []
    assert found.counts["stored though not acknowledged"] == 4
    assert found.counts["requests' records, with retries"] == 9


def test_copy_without_an_attempt_is_a_retry_inside_the_proxy() -> None:
    log = LOG | {Place(1, 0): 14}
    allowed = check_log(SENT, ACKNOWLEDGED, log, may_repeat=True)
    assert allowed.violations == []
    assert allowed.counts["stored again by a retry inside the proxy"] == 1
    assert kinds(check_log(SENT, ACKNOWLEDGED, log, may_repeat=False)) == ["repeated"]


def test_reading_and_committing_in_order_is_right() -> None:
    found = reads(handed(0, 2), commit(3), handed(3, 4), commit(5))
    assert found.violations == []
    assert found.counts["handed out"] == 5
    assert found.counts["commits checked, by partition"] == 2


def test_next_instance_goes_on_at_the_commit_or_reads_again() -> None:
    found = reads(handed(0, 3, "a"), commit(2), handed(2, 4, "b"), handed(0, 1, "c"))
    assert found.violations == []
    assert found.counts["handed out again"] == 4


def test_commit_may_be_done_although_nobody_said_so() -> None:
    assert reads(handed(0, 2, "a"), [Attempted("g", 0, 3)], handed(3, 4, "b")).violations == []


def test_record_that_is_not_in_the_log_is_invented() -> None:
    extra: list[Event] = [Handed("g", "s", Place(0, 5), 77)]
    assert kinds(reads(handed(0, 4), extra)) == ["invented"]


def test_record_with_the_value_of_another_is_invented() -> None:
    wrong: list[Event] = [Handed("g", "s", P0[4], 13)]
    assert kinds(reads(handed(0, 3), wrong)) == ["invented"]


def test_commit_beyond_what_was_handed_out_is_a_gap() -> None:
    late = reads(handed(0, 1), commit(4), handed(2, 4))
    assert kinds(late) == ["gap"]
    assert "offset 2 was handed to nobody" in late.violations[0]


def test_commit_over_a_record_that_was_left_out_is_a_gap() -> None:
    found = reads(handed(0, 1), handed(3, 4), commit(5), handed(2, 2, "later"))
    assert kinds(found) == ["skipped", "gap"]


def test_instance_that_begins_behind_the_commit_has_skipped() -> None:
    found = reads(handed(0, 2, "a"), commit(2), handed(4, 4, "b"), handed(2, 3, "c"))
    assert kinds(found) == ["skipped"]


def test_another_group_does_not_fill_a_gap() -> None:
    found = reads(handed(0, 4, group="h"), commit(3), handed(0, 4), groups=("g", "h"))
    assert kinds(found) == ["gap"]


def test_record_that_no_reader_was_ever_handed_is_named() -> None:
    found = reads(handed(0, 3), commit(4))
    assert kinds(found) == ["never read"]
    assert "1 records" in found.violations[0]
    assert kinds(reads(groups=("g",))) == ["never read"]
