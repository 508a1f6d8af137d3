import math

import pytest

from tests.performance.cases import percentiles, produce_body, produce_cases, sample
from tests.performance.client import Refused
from tests.performance.load import Run
from tests.performance.report import TABLES
from tests.performance.servers import Kind, Server
from tests.performance.waits import wait_cases
from tests.stack import Reply
from tests.unit.performance.test_client import Scripted

CASES = (*produce_cases(), *wait_cases())


def test_names_are_unique_and_tables_are_known() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.table for case in CASES} <= set(TABLES)


@pytest.mark.parametrize("kind", [Kind.ANSWERS, Kind.LOOP])
def test_baselines_are_given_json_through_v2_alone(kind: Kind) -> None:
    taken = [case.name for case in CASES if case.takes(Server("base", "", None, kind))]
    assert len(taken) == 5
    assert all(name.startswith("produce v2 json,") for name in taken)


def test_a_proxy_is_given_everything() -> None:
    assert all(case.takes(Server("any", "http://h")) for case in CASES)


def test_failed_requests_are_no_throughput() -> None:
    found = sample(Run(1_000, 2.0, 1.0, 9.0, 400, 0.5), 10)
    assert found["requests_per_second"] == 300
    assert found["records_per_second"] == 3_000
    assert found["failed"] == 400
    assert found["cpu_us_per_request"] == 500
    assert found["cpu_us_per_record"] == 50


def test_answers_whose_records_are_not_there_are_no_throughput() -> None:
    found = sample(Run(1_000, 2.0, 1.0, 9.0, 400), 10, written=4_500)
    assert found["requests_per_second"] == 225
    assert found["records_per_second"] == 2_250
    assert found["failed"] == 400 + 1_500


def test_records_beyond_what_was_answered_are_no_throughput_either() -> None:
    run = Run(1_000, 2.0, 1.0, 9.0, 400)
    assert sample(run, 10, written=6_100) == sample(run, 10)


def test_what_was_not_measured_is_left_out() -> None:
    found = sample(Run(1_000, 2.0, 1.0, 9.0, 0), 0)
    assert set(found) == {"requests_per_second", "p50_ms", "p99_ms", "failed"}


def test_percentiles_of_few_values() -> None:
    assert percentiles(range(101)) == (50, 99)
    assert percentiles([7.0]) == (7.0, 7.0)
    assert all(map(math.isnan, percentiles([])))


@pytest.mark.parametrize("body", [b"", b"written", b"[]", b"{}", b'{"offsets": null}'])
def test_a_proxy_that_answers_produce_in_another_way_refuses(body: bytes) -> None:
    with pytest.raises(Refused, match=r"^200"):
        produce_body(Scripted(Reply(200, {}, body)), "v2", "json", "t", 1)


def test_a_proxy_that_keeps_the_id_of_a_schema_to_itself_refuses() -> None:
    written = b'{"offsets": [{"partition": 0, "offset": 1}]}'
    with pytest.raises(Refused, match=r"^200"):
        produce_body(Scripted(Reply(200, {}, written)), "v2", "avro", "t", 1)


def test_a_proxy_is_asked_again_until_it_knows_the_topic() -> None:
    unknown = b'{"offsets": [{"error_code": 404, "message": "no such topic"}]}'
    written = b'{"offsets": [{"partition": 0, "offset": 1}]}'
    client = Scripted(Reply(200, {}, unknown), Reply(404, {}, b""), Reply(200, {}, written))
    assert len(produce_body(client, "v2", "json", "t", 3)["records"]) == 3
    assert not client.replies
