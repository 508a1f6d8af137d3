"""The page for operators says what to do about every error, and leads to pages that are there."""

import re
from pathlib import Path

from kafka_rest.errors import ERRORS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text()


def test_every_error_code_has_its_row() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if re.match(r"\| \d{3}", line)]
    codes = [int(code) for cell in rows for code in re.findall(r"\d+", cell)]
    assert sorted(codes, key=str) == codes
    assert set(ERRORS) - set(codes) == set()


def test_links_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text()
        for link in re.findall(r"\]\(([a-z-]+\.md)(?:#[^)]*)?\)", text):
            assert (DOCS / link).exists(), f"{page.name} links to {link}"
