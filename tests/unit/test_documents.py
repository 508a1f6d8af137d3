"""The documents that are made from tables, or that name tests, are true."""

import re
from pathlib import Path

import pytest

from kafka_rest.metrics import document
from kafka_rest.settings import documents

ROOT = Path(__file__).parents[2]


def test_page_of_settings_is_current() -> None:
    assert (ROOT / "docs/settings.md").read_text() == documents.markdown()


def test_shipped_properties_file_is_current() -> None:
    assert (ROOT / "config/kafka-rest.properties").read_text() == documents.properties_file()


def test_page_of_metrics_is_current() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == document.markdown()


@pytest.mark.parametrize(
    "row",
    re.findall(r"^\| (\d+) \|.*`([^`]+)` \|$", (ROOT / "docs/compatibility.md").read_text(), re.M),
)
def test_row_of_compatibility_names_a_test_that_exists(row: tuple[str, str]) -> None:
    path, _, name = row[1].partition("::")
    found = [p for p in (ROOT / "tests").rglob("*.py") if str(p).endswith(path)]
    assert found, path
    assert not name or f"def {name}(" in found[0].read_text()
