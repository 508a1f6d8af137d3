"""The reference's recorded exchanges against our server.

Left out here is what runs into a row of docs/compatibility.md: what we do instead is in
test_deviations.py. The embedded broker cannot do everything that a recording needs.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.recording import Recording, deviations, recordings
from tests.stack import Proxy, Stack

FOLDER = Path(__file__).parent / "recordings"

# What a mock cluster cannot do, and so only a real broker can show.
BROKER_ONLY = {
    "v1-topics-get-configs": "it has no topic configs",
    "v1-produce-binary-auto-create": "it creates topics with four partitions",
    "v1-produce-binary-auto-create-partition": "it creates topics with four partitions",
    "v1-config-passthrough-too-large": "it takes records of any size",
    "v2-commit-metadata": "it takes notes of any size",
    "v2-metadata-topic-configs": "it has no topic configs",
    "v2-produce-binary-compacted": "it has no topic configs",
    "v2-produce-binary-too-large": "it takes records of any size",
    "v2-seek-timestamp": "it has no time index",
}
# What only a server answers that has one API version on its port: with both, a request that names
# no version is one of v1, and v2's paths are there.
ALONE = {
    "v1-topics-sub",
    "v2-metadata-brokers",
    "v2-metadata-partitions",
    "v2-metadata-root",
    "v2-negotiation-415-type",
    "v2-negotiation-accept-any",
    "v2-negotiation-accept-brokers",
    "v2-negotiation-accept-json",
    "v2-negotiation-accept-none",
}
# What runs into a row of docs/compatibility.md too, by the row's number.
ROWS = {
    "v2-avro-extras": 34,
    "v2-avro-float": 34,
    "v2-avro-record-empty": 31,
    "v2-avro-union": 34,
    "v2-consumer-create-blank": 37,
    "v2-consumer-group-names": 30,
    "v2-errors-long-path": 28,
    "v2-negotiation-accept-lists": 28,
    "v2-negotiation-content-charset": 28,
}
# Where only some steps do, whose answers are left out, and the rest is compared.
STEPS = {
    "v2-protobuf-proto2": frozenset({2, 3}),
}
# What the registry of the recording took and Apicurio Registry refuses: an Avro default of another
# type, and JSON schemas without any member that says what they are.
REGISTRY_REFUSES = {
    "v2-avro-schema-invalid",
    *(f"v2-jsonschema-{name}" for name in ("array", "boolean", "combinations", "integer")),
    *(f"v2-jsonschema-{name}" for name in ("invalid", "keys", "number", "scalars", "true")),
}
VERSIONS = ("v1", "v2")
AT_A_TIME = 8
CONFIGS = sorted(path.name for path in (FOLDER / "v1-config").iterdir())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The recordings that this lane can run."""
    lane = metafunc.config.getoption("--lane")

    def runs(path: Path) -> bool:
        impossible = path.stem in (BROKER_ONLY if lane == "embedded" else REGISTRY_REFUSES)
        ours = path.stem in ROWS or (deviations(path) and path.stem not in STEPS)
        return not (ours or impossible)

    paths = [path for v in VERSIONS for path in recordings(FOLDER / v) if runs(path)]
    if "recording" in metafunc.fixturenames:
        shared = [path for path in paths if path.stem not in ALONE]
        metafunc.parametrize("recording", shared, ids=lambda path: path.stem)
    if "lone_recording" in metafunc.fixturenames:
        pairs = [(path.parent.name, path) for path in paths if path.stem in ALONE]
        ids = [path.stem for _, path in pairs]
        metafunc.parametrize(("alone", "lone_recording"), pairs, ids=ids, indirect=["alone"])
    if "config_recording" in metafunc.fixturenames:
        pairs = [
            (config, path)
            for config in CONFIGS
            for path in recordings(FOLDER / "v1-config" / config)
            if runs(path)
        ]
        ids = [path.stem for _, path in pairs]
        metafunc.parametrize(
            ("configured", "config_recording"), pairs, ids=ids, indirect=["configured"]
        )


@pytest.fixture(scope="module")
def alone(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Proxy]:
    """A proxy that serves one API version."""
    others = (version for version in VERSIONS if version != request.param)
    settings = {f"api.{version}.enable": "false" for version in others}
    with Proxy(stack, settings, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def configured(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Proxy]:
    """A proxy with the settings of a folder of recordings."""
    text = (FOLDER / "v1-config" / request.param / "settings.properties").read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    with Proxy(stack, settings, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def answers(
    request: pytest.FixtureRequest, proxy: Proxy
) -> Iterator[dict[Path, "Future[list[str]]"]]:
    """The recordings of this module, several at a time: most of their time is spent waiting."""
    wanted = [
        item.callspec.params["recording"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "recording" in item.callspec.params
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            path: pool.submit(Recording(path, proxy, STEPS.get(path.stem, frozenset())).differences)
            for path in wanted
        }


def test_answers_as_recorded(recording: Path, answers: dict[Path, "Future[list[str]]"]) -> None:
    assert answers[recording].result(120) == []


def test_answers_as_recorded_with_settings(config_recording: Path, configured: Proxy) -> None:
    assert Recording(config_recording, configured).differences() == []


def test_one_version_answers_as_recorded(lone_recording: Path, alone: Proxy) -> None:
    assert Recording(lone_recording, alone).differences() == []
