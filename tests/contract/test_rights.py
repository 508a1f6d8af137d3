"""Recorded exchanges about rights, on a Kafka that looks at them. Steps of API v3 make the rules;
its other steps are left out. What the reference does with a missing topic is row 9 of
docs/compatibility.md.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.recording import Recording, recordings
from tests.secure_kafka import SecureKafka
from tests.stack import Proxy

FOLDER = Path(__file__).parent / "recordings"


@pytest.fixture(scope="module")
def unnamed(secure: SecureKafka) -> Iterator[Proxy]:
    """A proxy that is nobody to Kafka, without a schema registry."""
    with Proxy(secure.stack(), workers=1) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [*recordings(FOLDER / "v3-denied"), *recordings(FOLDER / "v3-acls")],
    ids=lambda path: path.stem,
)
def test_answers_as_recorded(path: Path, unnamed: Proxy) -> None:
    assert Recording(path, unnamed).differences() == []
