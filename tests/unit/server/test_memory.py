"""What the start of a server must not import: each package costs every process megabytes."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("start", ["cli", "wsgi"])
def test_start_imports_nothing_that_most_servers_never_need(start: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", START.format(start=start)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    modules = set(found.stdout.split())
    assert "kafka_rest.app" in modules
    assert not modules & LATER
