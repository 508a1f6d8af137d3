"""Child processes of the development stack: start, wait until ready, talk to, stop.

A child ends with its parent, even one that is killed: its standard input is a pipe that the kernel
closes.
"""

import contextlib
import select
import subprocess
import sys
import threading
import time
from typing import IO

READY_SECONDS = 20.0
ANSWER_SECONDS = 10.0
STOP_SECONDS = 5.0


class ChildFailed(Exception):
    """A child did not become ready or did not answer.

    The text is its own, where it said something.
    """


class Child:
    """A Python module run as a child process that prints one line when it is ready."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--exit-on-eof"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            # Ctrl-C at a terminal is for the parent, which stops its children in order.
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        try:
            self.ready = self._line(READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_failure: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return self._process.poll() is None

    def command(self, *words: object) -> str:
        """Send one control line; the line that answers it. Raises: ChildFailed."""
        with self._lock:
            print(*words, file=self._pipe(self._process.stdin), flush=True)
            answer = self._line(ANSWER_SECONDS)
        if answer.startswith("error:"):
            raise ChildFailed(answer)
        return answer

    def stop(self) -> None:
        """End the child: politely, then by force; returns when it is gone."""
        with contextlib.suppress(OSError):
            self._pipe(self._process.stdin).close()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1)
        for pipe in (self._process.stdout, self._process.stderr):
            self._pipe(pipe).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def _line(self, seconds: float) -> str:
        stdout = self._pipe(self._process.stdout)
        end = time.monotonic() + seconds
        while not select.select([stdout], [], [], 0.05)[0]:
            if time.monotonic() > end:
                raise ChildFailed(f"no answer in {seconds:.0f} s: {self._said()}")
        line = stdout.readline().strip()
        if not line:
            self._reader.join(1)
            raise ChildFailed(self._said() or "the process ended")
        return line

    def _said(self) -> str:
        return " ".join(self._errors[-5:])

    def _read_errors(self) -> None:
        for line in self._pipe(self._process.stderr):
            self._errors.append(line.strip())
            del self._errors[:-100]


class EmbeddedBroker(Child):
    """The embedded broker as a child, with its fault injection."""

    def __init__(self, port: int = 0, brokers: int = 1, topics: tuple[str, ...] = ()) -> None:
        options = [f"--port={port}", f"--brokers={brokers}", *(f"--topic={t}" for t in topics)]
        super().__init__("kafka_rest.devstack.broker", *options)
        self.bootstrap = self.ready

    def __enter__(self) -> "EmbeddedBroker":
        return self

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic."""
        self.command("create", name, partitions)

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        self.command("delete", name)

    def topic_error(self, name: str, code: int) -> None:
        """Answer everything about a topic with an error; 0 ends it."""
        self.command("topic-error", name, code)

    def push_errors(self, api_key: int, *codes: int) -> None:
        """Answer the next requests of an API with errors, one each."""
        self.command("errors", api_key, *codes)

    def push_error_rtts(self, broker: int, api_key: int, *pairs: tuple[int, int]) -> None:
        """Answer a broker's next requests of an API with (error code, delay in ms), one each."""
        self.command("error-rtts", broker, api_key, *(n for pair in pairs for n in pair))

    def clear_errors(self, api_key: int) -> None:
        """Forget the errors that wait for an API."""
        self.command("clear-errors", api_key)

    def set_down(self, broker: int = -1) -> None:
        """Close a broker's connections and refuse new ones; -1 is all."""
        self.command("down", broker)

    def set_up(self, broker: int = -1) -> None:
        """Let a broker answer again; -1 is all."""
        self.command("up", broker)

    def set_rtt(self, milliseconds: int) -> None:
        """Delay every answer."""
        self.command("rtt", milliseconds)

    def set_leader(self, topic: str, partition: int, broker: int) -> None:
        """Move a partition to another broker."""
        self.command("leader", topic, partition, broker)

    def set_coordinator(self, group: str, broker: int) -> None:
        """Move a group to another broker."""
        self.command("coordinator", group, broker)


class EmbeddedRegistry(Child):
    """The embedded schema registry as a child."""

    def __init__(self, port: int = 0) -> None:
        super().__init__("kafka_rest.devstack.schema_registry", f"--port={port}")
        self.url = self.ready

    def __enter__(self) -> "EmbeddedRegistry":
        return self
