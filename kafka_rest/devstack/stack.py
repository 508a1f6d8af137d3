"""The development stack: embedded broker, embedded registry and the proxy, as one command."""

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka_rest.devstack.broker import QUICKSTART_TOPICS
from kafka_rest.devstack.children import ChildFailed, EmbeddedBroker, EmbeddedRegistry

READY_SECONDS = 20.0
STOP_SECONDS = 20.0

# The mock's classic groups wait a session time-out at every change of members, and its fetches are
# not
# woken by new records.
MOCK_SETTINGS = {"consumer.group.protocol": "consumer", "consumer.fetch.wait.max.ms": "10"}

WELCOME = """
The proxy is ready: http://localhost:{port}  (broker {broker}, schema registry {registry})
Try:

  curl -X POST -H "Content-Type: application/vnd.kafka.json.v1+json" \\
       --data '{{"records":[{{"value":{{"foo":"bar"}}}}]}}' http://localhost:{port}/topics/jsontest
  curl -H "Accept: application/vnd.kafka.json.v1+json" "http://localhost:{port}/topics/jsontest/partitions/0/messages?offset=0"
  curl http://localhost:{port}/topics

Ctrl-C ends it; everything that was produced is forgotten then.
"""


def run(port: int, broker_port: int, registry_port: int, overrides: tuple[str, ...]) -> int:
    """Run the stack until it is told to stop; the exit status.

    `overrides` have the proxy listen on `port`, which is free.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # Also where a shell in the background has set Ctrl-C aside.
        signal.signal(number, _interrupt)
    try:
        with (
            EmbeddedBroker(broker_port, topics=QUICKSTART_TOPICS) as broker,
            EmbeddedRegistry(registry_port) as registry,
            _proxy(broker.bootstrap, registry.url, overrides) as proxy,
        ):
            if not _ready(proxy, port):
                return proxy.wait() or 1
            print(
                WELCOME.format(port=port, broker=broker.bootstrap, registry=registry.url),
                flush=True,
            )
            return proxy.wait()
    except ChildFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


@contextmanager
def _proxy(
    bootstrap: str, registry: str, overrides: tuple[str, ...]
) -> Iterator["subprocess.Popen[bytes]"]:
    settings = {
        "bootstrap.servers": bootstrap,
        "schema.registry.url": registry,
        **MOCK_SETTINGS,
    }
    options = [f"{key}={value}" for key, value in settings.items()]
    command = [sys.executable, "-m", "kafka_rest.server.cli", "start"]
    command += [word for option in (*options, *overrides) for word in ("--set", option)]
    # A group of its own: Ctrl-C reaches this process alone, which then stops all in order.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(proxy: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait until the proxy answers; False if it ended instead."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and proxy.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    return False


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
