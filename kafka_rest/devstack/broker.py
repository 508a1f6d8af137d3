"""The embedded broker: librdkafka's mock cluster, for any client on loopback.

    python -m kafka_rest.devstack.broker [--port N] [--brokers N] [--topic NAME:PARTITIONS]...
                                         [--exit-on-eof]

Prints its bootstrap address on one line when ready, then answers each control line on its standard
input with one line. A process of its own, because a client can make the mock abort. Not for
production: it keeps at most 5 MiB a partition, in memory.
"""

import ctypes as c
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import click

from kafka_rest.devstack import mock_api as mock

HOST = "127.0.0.1"
BACKLOG = 512
QUICKSTART_TOPICS = ("avrotest:1", "jsontest:1", "binarytest:1")
# Two commands to the mock within the same moment can lose the second wake-up, for a second.
SETTLE_SECONDS = 0.003
ALL_BROKERS = -1
HEARTBEAT_MS = 200


class BusyPort(Exception):
    """The wanted port is taken."""


class MockCluster:
    """A mock cluster with, if wanted, fixed ports; `close` ends it."""

    def __init__(self, brokers: int = 1, port: int = 0) -> None:
        self._client = _client()
        # The mock's thread ends when a signal interrupts its poll: it inherits a mask that blocks
        # them.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._cluster = mock.cluster_new(self._client, brokers)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        if not self._cluster:
            raise RuntimeError("librdkafka made no mock cluster")
        # Quick groups: no delay for the first member, and short heartbeats (3 s each by default).
        mock.rebalance_delay(self._cluster, 0)
        mock.group_heartbeat(self._cluster, HEARTBEAT_MS)
        # Without a controller, admin calls wait for their time-out instead of failing at once.
        mock.set_controller(self._cluster, 1)
        self.bootstrap: str = mock.bootstraps(self._cluster).decode()
        self._count = brokers
        self._down: set[int] = set()
        self._fixed: dict[int, tuple[int, int]] = {}
        if port:
            self._fix_ports(port)

    def create_topic(self, name: str, partitions: int) -> int:
        """Create a topic with one replica; 0, or Kafka's error code."""
        return int(mock.topic_create(self._cluster, name.encode(), partitions, 1))

    def delete_topic(self, name: str) -> int:
        """Delete a topic."""
        return int(mock.topic_delete(self._cluster, name.encode()))

    def topic_error(self, name: str, code: int) -> None:
        """Answer everything about a topic with an error; 0 ends it."""
        mock.topic_set_error(self._cluster, name.encode(), code)

    def push_errors(self, api_key: int, *codes: int) -> None:
        """Answer the next requests of an API with errors, one each."""
        mock.push_errors(self._cluster, api_key, len(codes), (c.c_int * len(codes))(*codes))

    def push_partition_errors(self, topic: str, partition: int, api_key: int, *codes: int) -> int:
        """The same for one partition."""
        return int(
            mock.push_partition_errors(
                self._cluster, topic.encode(), partition, api_key, len(codes), *map(c.c_int, codes)
            )
        )

    def push_error_rtts(self, broker: int, api_key: int, *pairs: tuple[int, int]) -> int:
        """Answer a broker's next requests of an API with (error code, delay in ms), one each."""
        flat = [c.c_int(number) for pair in pairs for number in pair]
        return int(mock.push_error_rtts(self._cluster, broker, api_key, len(pairs), *flat))

    def clear_errors(self, api_key: int) -> None:
        """Forget the errors that wait for an API."""
        mock.clear_errors(self._cluster, api_key)

    def set_down(self, broker: int = ALL_BROKERS) -> int:
        """Close a broker's connections and refuse new ones."""
        self._down |= self._numbers(broker)
        return int(mock.broker_down(self._cluster, broker))

    def set_up(self, broker: int = ALL_BROKERS) -> int:
        """Let a broker answer again, on its fixed port if it has one."""
        result = int(mock.broker_up(self._cluster, broker))
        # Only one that was down has made itself a new listener.
        for number in self._numbers(broker) & self._down & self._fixed.keys():
            _replace_listener(*self._fixed[number])
        self._down -= self._numbers(broker)
        self.set_rtt(0)
        return result

    def set_rtt(self, milliseconds: int, broker: int = ALL_BROKERS) -> int:
        """Delay every answer."""
        return int(mock.broker_rtt(self._cluster, broker, milliseconds))

    def set_leader(self, topic: str, partition: int, broker: int) -> int:
        """Move a partition to another broker."""
        return int(mock.partition_leader(self._cluster, topic.encode(), partition, broker))

    def set_coordinator(self, group: str, broker: int) -> int:
        """Move a group to another broker."""
        return int(mock.coordinator_set(self._cluster, b"group", group.encode(), broker))

    def close(self) -> None:
        """End the cluster."""
        mock.cluster_destroy(self._cluster)
        mock.client_destroy(self._client)

    def _numbers(self, broker: int) -> set[int]:
        return set(range(1, self._count + 1)) if broker == ALL_BROKERS else {broker}

    def _fix_ports(self, first: int) -> None:
        ephemeral = [int(server.rsplit(":", 1)[1]) for server in self.bootstrap.split(",")]
        for index, old in enumerate(ephemeral):
            _replace_listener(old, first + index)
            mock.broker_address(self._cluster, index + 1, HOST.encode(), first + index)
            self._fixed[index + 1] = (old, first + index)
        self.bootstrap = ",".join(f"{HOST}:{first + index}" for index in range(len(ephemeral)))
        # Any command wakes the mock's thread, which then polls the new listener.
        time.sleep(SETTLE_SECONDS)
        self.set_rtt(0)
        time.sleep(SETTLE_SECONDS)


def _client() -> int:
    reason = c.create_string_buffer(512)
    conf = mock.conf_new()
    for name, value in {"client.id": "embedded-broker", "log_level": "3"}.items():
        mock.conf_set(conf, name.encode(), value.encode(), reason, len(reason))
    client = mock.client_new(0, conf, reason, len(reason))
    if not client:
        raise RuntimeError(reason.value.decode())
    return int(client)


def _replace_listener(ephemeral: int, port: int) -> None:
    """Put a listener on `port` in the place of the mock's own: it has no setting for its port."""
    for name in os.listdir("/proc/self/fd"):
        if not _listens_on(int(name), ephemeral):
            continue
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                raise BusyPort(f"Port {port} is in use: {error.strerror}.") from error
            listener.listen(BACKLOG)
            os.dup2(listener.fileno(), int(name), inheritable=False)
        return
    raise RuntimeError("the mock's listener was not found")


def _listens_on(descriptor: int, port: int) -> bool:
    try:
        duplicate = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return False
    with duplicate:
        try:
            listening = duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            return bool(
                duplicate.family == socket.AF_INET
                and listening
                and duplicate.getsockname()[1] == port
            )
        except OSError:
            return False


def _numbers(words: list[str]) -> list[int]:
    return [int(word) for word in words]


def _commands(cluster: MockCluster) -> dict[str, Callable[[list[str]], object]]:
    """The control lines: a word and its arguments."""
    return {
        "create": lambda w: cluster.create_topic(w[0], int(w[1])),
        "delete": lambda w: cluster.delete_topic(w[0]),
        "topic-error": lambda w: cluster.topic_error(w[0], int(w[1])),
        "errors": lambda w: cluster.push_errors(*_numbers(w)),
        "partition-errors": lambda w: cluster.push_partition_errors(w[0], *_numbers(w[1:])),
        "error-rtts": lambda w: cluster.push_error_rtts(
            int(w[0]), int(w[1]), *[(int(a), int(b)) for a, b in zip(w[2::2], w[3::2], strict=True)]
        ),
        "clear-errors": lambda w: cluster.clear_errors(int(w[0])),
        "down": lambda w: cluster.set_down(*_numbers(w)),
        "up": lambda w: cluster.set_up(*_numbers(w)),
        "rtt": lambda w: cluster.set_rtt(*_numbers(w)),
        "leader": lambda w: cluster.set_leader(w[0], int(w[1]), int(w[2])),
        "coordinator": lambda w: cluster.set_coordinator(w[0], int(w[1])),
    }


def _obey(cluster: MockCluster, stop: threading.Event, exit_on_eof: bool) -> None:
    commands = _commands(cluster)
    for line in sys.stdin:
        word, *arguments = line.split() or [""]
        try:
            answer = str(commands[word](arguments))
        except Exception as error:
            # Whatever a command runs into is its answer; the next one must still be heard.
            answer = f"error: {error!r}"
        print(answer, flush=True)
    if exit_on_eof:
        stop.set()


@click.command()
@click.option("--port", default=0, help="First port; 0 takes any.")
@click.option("--brokers", default=1, help="How many brokers.")
@click.option("--topic", "topics", multiple=True, help="NAME:PARTITIONS to create.")
@click.option("--exit-on-eof", is_flag=True, help="End with whoever holds the standard input.")
def main(port: int, brokers: int, topics: tuple[str, ...], exit_on_eof: bool) -> None:
    """Run the embedded broker until it is told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        cluster = MockCluster(brokers, port)
    except BusyPort as error:
        sys.exit(str(error))
    for topic in topics:
        name, _, partitions = topic.partition(":")
        cluster.create_topic(name, int(partitions or 1))
    print(cluster.bootstrap, flush=True)
    threading.Thread(target=_obey, args=(cluster, stop, exit_on_eof), daemon=True).start()
    while not stop.wait(1):
        pass
    cluster.close()
    # The reader of the standard input may still hold it, which an ordinary exit would wait for.
    os._exit(0)


if __name__ == "__main__":
    main()
