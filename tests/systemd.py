"""Plays systemd for one instance of config/systemd/kafka-rest@.service.

Hands over a socket, listens to what the server says, and restarts it under the same socket.

Reads the unit itself, so that its environment, its command and its sandbox are what is tested.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.stack import READY_SECONDS, STOP_SECONDS, Proxy, Stack, free_port, wait_for

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "config/systemd"
PACKAGE = "/opt/kafka-rest"
"""Where the unit has the program; here it is run from the tree."""
LONGEST_WORD = 4096
LISTEN_SECONDS = 0.2


def directives(path: Path, specifiers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The settings of a unit in their order, specifiers such as %i filled in."""
    text = re.sub(r"%(\w)", lambda mark: specifiers[mark[1]], path.read_text())
    return re.findall(r"^(\w+)=(.*)$", text, re.M)


class Instance(Proxy):
    """The unit's server on a socket that outlives it; as a context it is started and ready.

    `sandboxed` puts it into those limits of the unit that take no systemd (root only).
    """

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        watchdog_seconds: float = 0,
        sandboxed: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(stack, settings or {}, port=port or free_port(3))
        self.folder, self.sandboxed = folder, sandboxed
        specifiers = {"i": str(self.port), "t": str(folder), "l": "host"}
        self.unit = directives(UNITS / "kafka-rest@.service", specifiers)
        self.watchdog_seconds = watchdog_seconds
        self.log_path = folder / "log"
        self.words: list[str] = []
        self.speakers: set[int] = set()

    def __enter__(self) -> "Instance":
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=2048)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notified.bind(str(self.folder / "notify"))
        self.properties = self.folder / "kafka-rest.properties"
        # The port is the unit's matter.
        known = {"server.workers": "2", **self.stack.settings, **self.settings}
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in known.items()))
        try:
            self.start()
            self.hear("READY=1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        try:
            self.terminate()
        finally:
            self.listener.close()
            self.notified.close()

    def start(self) -> None:
        """Start the unit's command; does not wait until it is ready."""
        given = [value for name, value in self.unit if name == "Environment"]
        environ = {**os.environ, **dict(value.split("=", 1) for value in given)}
        environ["NOTIFY_SOCKET"] = str(self.folder / "notify")
        if self.watchdog_seconds:
            environ["WATCHDOG_USEC"] = str(round(self.watchdog_seconds * 1_000_000))
        private = self.folder / dict(self.unit)["RuntimeDirectory"]
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        program, file = dict(self.unit)["ExecStart"].split()
        assert program == f"{PACKAGE}/bin/kafka-rest-start", program
        assert Path(file).name == self.properties.name
        words = [sys.executable, "-m", "kafka_rest.server.cli", "start", str(self.properties)]
        limits = ["--sandbox", str(private)] if self.sandboxed else []
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit_process", *limits, *words],
                cwd=ROOT,
                env=environ,
                stdin=self.listener,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Stop it as the unit does, with TERM to the master alone."""
        assert dict(self.unit)["KillMode"] == "mixed"
        self.process.terminate()
        assert self.process.wait(STOP_SECONDS) == 0, self.log()

    def reload(self) -> None:
        """Reload it as the unit does."""
        assert dict(self.unit)["ExecReload"].split() == ["/bin/kill", "-HUP", "$MAINPID"]
        self.process.send_signal(signal.SIGHUP)

    def hear(self, mark: str, seconds: float = READY_SECONDS) -> str:
        """Wait for a message with such a line, and return it; those before it are in `words`."""
        end = time.monotonic() + seconds
        while True:
            over = time.monotonic() > end or self.process.poll() is not None
            words = self.listen(LISTEN_SECONDS)
            if mark in words.splitlines():
                return words
            assert words or not over, f"no {mark} among {self.words}: {self.log()}"

    def listen(self, seconds: float) -> str:
        """The next message, "" if none comes in so many seconds."""
        self.notified.settimeout(seconds)
        try:
            data, extra, *_ = self.notified.recvmsg(LONGEST_WORD, 64)
        except TimeoutError:
            return ""
        # SCM_CREDENTIALS: process, user, group; systemd knows a speaker by it.
        self.speakers.add(struct.unpack("3i", extra[0][2])[0])
        self.words.append(data.decode())
        return self.words[-1]

    def fall_silent(self) -> None:
        """Wait until nothing has come for as long as the watchdog has patience."""
        wait_for(lambda: not self.listen(self.watchdog_seconds), READY_SECONDS)
