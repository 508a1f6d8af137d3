"""What the suites share: which Kafka they run against, and a running proxy."""

import os
import threading
from collections.abc import Iterator

import pytest

from tests.secure_kafka import SecureKafka, secure_kafka
from tests.stack import Proxy, Stack, embedded_stack, real_stack, register_first_schema


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lane", choices=["embedded", "kafka"], default="embedded")
    parser.addoption("--bootstrap", default="", help="the real Kafka of lane kafka")
    parser.addoption(
        "--registry", default="", help="a real schema registry; none: the embedded one"
    )


@pytest.fixture(scope="session")
def lane(request: pytest.FixtureRequest) -> str:
    """The lane: `embedded` or `kafka`."""
    return str(request.config.getoption("--lane"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, lane: str) -> Iterator[Stack]:
    """A Kafka and a schema registry."""
    if lane == "kafka":
        bootstrap = request.config.getoption("--bootstrap")
        assert bootstrap, "lane kafka needs --bootstrap"
        with real_stack(bootstrap, request.config.getoption("--registry")) as found:
            register_first_schema(found.registry)
            yield found
    else:
        with embedded_stack() as found:
            register_first_schema(found.registry)
            yield found


@pytest.fixture(scope="session")
def secure(lane: str) -> Iterator[SecureKafka]:
    """A Kafka with users and rights; some seconds, for the first test that wants it."""
    if lane != "kafka":
        pytest.skip("the embedded broker knows neither TLS nor users")
    with secure_kafka() as found:
        yield found


@pytest.fixture(scope="session")
def proxy(stack: Stack) -> Iterator[Proxy]:
    """A running proxy with default settings."""
    with Proxy(stack) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_leaked_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test that leaves a thread of ours behind fails."""
    if "tests/unit" not in str(request.node.path):
        yield
        return
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.is_alive()]
    for thread in left:
        thread.join(2)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left behind: {alive}"


def pytest_report_header(config: pytest.Config) -> str:
    """Say which Kafka this run speaks to."""
    return f"lane: {config.getoption('--lane')}, pid {os.getpid()}"
