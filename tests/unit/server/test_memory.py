"""What keeps the server small: imports that wait, pages that workers share, memory given back."""

import subprocess
import sys

import pytest

FREEZE = """
import gc
from kafka_rest import settings
from kafka_rest.server.hooks import Server
Server(settings.load(None, {})).when_ready(None)
print(gc.get_freeze_count() > len(gc.get_objects()))
"""
START = "import sys, kafka_rest.server.{start}, kafka_rest.server.worker; print(*sys.modules)"
# Loaded at the first use of a format or of a schema; a test's tools and the development stack never
# are.
LATER = {
    "avro",
    "charset_normalizer",
    "fastavro",
    "google",
    "hypothesis",
    "jsonschema",
    "kafka_rest.devstack",
    "kafka_rest.formats.avro",
    "kafka_rest.formats.jsonschema",
    "kafka_rest.formats.protobuf",
    "kafka_rest.schemas.client",
    "protoxy",
    "referencing",
    "requests",
    "urllib3",
}


def said(code: str) -> list[str]:
    """The words that a fresh interpreter prints; what is tested here is the matter of a process."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("start", ["cli", "wsgi"])
def test_start_imports_nothing_that_most_servers_never_need(start: str) -> None:
    modules = set(said(START.format(start=start)))
    assert "kafka_rest.app" in modules
    assert not modules & LATER


def test_master_keeps_the_collector_from_the_pages_that_workers_share() -> None:
    assert said(FREEZE) == ["True"]
