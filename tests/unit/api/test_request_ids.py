"""The id of a request: its client's, where that is fit, or a new one."""

import re
from typing import Any

import pytest

from kafka_rest.api.request_ids import GIVEN, mint, request_id

MINTED = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "given", ["7", "a" * 128, "0af7651916cd43dd", "Root=1-67891233-abcdef/x", "user@host:9+a~b_c.d"]
)
def test_fit_id_of_the_client_is_the_requests(given: str) -> None:
    assert request_id({GIVEN: given}) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "a" * 129,
        "a b",
        "a,b",
        'a"b',
        "a\\b",
        "a\r\nb",
        "a\n",
        "\x1b[2J",
        "ä",
        "%0a",
        "a;b",
        "<a>",
    ],
)
def test_unfit_id_is_replaced(given: str) -> None:
    environ: dict[str, Any] = {GIVEN: given}
    found = request_id(environ)
    assert MINTED.fullmatch(found)
    assert request_id(environ) == found


def test_minted_ids_differ() -> None:
    assert len({mint() for _ in range(100)}) == 100
    assert request_id({}) != request_id({})
