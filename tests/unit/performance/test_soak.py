import json

import pytest

from tests.performance.processes import Footprint
from tests.performance.soak import Moment, Outcome
from tests.performance.soak_book import Book, Ledger, avro_sequence, json_sequence
from tests.stack import Reply

OK = range(200, 300)
TREE = Footprint(100.0, 50.0, 20, 30)


def raising() -> Reply:
    raise ConnectionResetError("gone")


@pytest.mark.parametrize(
    ("encoded", "number"), [(b"\x00", 0), (b"\x02", 1), (b"\x80\x01", 64), (b"\x01", -1)]
)
def test_the_number_of_an_avro_record_is_its_first_field(encoded: bytes, number: int) -> None:
    assert avro_sequence(b"\x00\x00\x00\x00\x07" + encoded + b"\x02x") == number


def test_the_number_of_a_json_record() -> None:
    assert json_sequence(json.dumps({"text": "", "number": 12}).encode()) == 12


def test_numbers_are_given_once() -> None:
    ledger = Ledger(json_sequence)
    assert [ledger.next_number() for _ in range(3)] == [0, 1, 2]


def test_an_expected_answer_is_counted_and_no_fault() -> None:
    book = Book()
    reply = Reply(200, {}, b"")
    assert book.note("produce", OK, lambda: reply) is reply
    assert book.note("look up", OK, lambda: reply) is reply
    assert book.answers == {("produce", 200): 1, ("look up", 200): 1}
    assert book.faults == []
    assert len(book.take_latencies_ms()) == 1
    assert book.take_latencies_ms() == []


@pytest.mark.parametrize("status", [500, 404])
def test_an_answer_of_another_kind_is_a_fault(status: int) -> None:
    book = Book()
    assert book.note("read", OK, lambda: Reply(status, {}, b"why")) is None
    assert book.faults == [f"read: {status} why"]


def test_no_answer_is_a_fault() -> None:
    book = Book()
    assert book.note("read", OK, raising) is None
    assert book.faults == ["read: no answer, ConnectionResetError('gone')"]


def outcome(book: Book, lost: list[str]) -> Outcome:
    moments = [Moment(float(n), TREE, 10, 1.0, 2.0) for n in range(1, 7)]
    return Outcome(TREE, TREE, book, moments, lost)


def test_a_clean_run_has_not_failed() -> None:
    clean = outcome(Book(), [])
    assert not clean.failed
    assert clean.verdict().count("does not grow") == 4
    assert "0 of them are lost" in clean.verdict()


def test_a_fault_or_a_lost_record_fails_the_run_and_is_named() -> None:
    book = Book()
    book.fault("read: 500 broken")
    for failed, text in (
        (outcome(book, []), "read: 500 broken"),
        (outcome(Book(), ["t: record 7 was acknowledged and is lost"]), "record 7"),
    ):
        assert failed.failed
        assert text in failed.verdict()
