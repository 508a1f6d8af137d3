"""The profile's stages are those of a real request: what it takes apart still fits together."""

import pytest

from tests.performance import stages
from tests.stack import Stack


@pytest.mark.parametrize("format_name", stages.FORMATS)
def test_every_stage_of_a_request_is_measured(stack: Stack, format_name: str) -> None:
    found = stages.measured(stack, format_name, 0.01)
    assert list(found) == list(stages.SIZES)
    for measured in found.values():
        assert set(measured.stages) == {*stages.LANE_STAGES, *stages.POLLER_STAGES}
        assert all(us > 0 for us in (*measured.stages.values(), *measured.whole))
