"""Reads the operator's files again in every worker when the master has been told to (SIGHUP).

The master reads them first: a file that cannot be used reaches no worker, and one that is made
later begins with what the master has. Workers are told by a number that they share with the master
and look at: a signal would end one that is just starting.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from kafka_rest.records import Deadline
from kafka_rest.security.authority import Authority
from kafka_rest.security.files import BadFile
from kafka_rest.server.lane import Lane

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
FIRST_FETCH_SECONDS = 5.0
"""How long a worker that starts waits for keys that do not come."""
CLOSE_SECONDS = 1.0


def reread(authority: Authority, told: Any) -> None:
    """In the master: read the files, and tell the workers if they can be used."""
    if _mistake_of(authority) is None:
        authority.version += 1
        told.value = authority.version
        log.info("files of users, rules and certificates read again")


class Rereader:
    """A worker's look at whether the master has told it. `then` is called after each change.

    Keys behind a URL have a thread of their own: who serves them may be slow.
    """

    def __init__(self, authority: Authority, told: Any, then: Callable[[], None]) -> None:
        self._authority, self._told, self._then = authority, told, then
        self._mistake: str | None = None
        self._closing = threading.Event()
        self._fetched = threading.Event()
        self._threads = [self._thread("rereader", self.look)]
        if authority.has_remote_keys:
            self._threads.append(self._thread("keys", self.fetch))

    def start(self) -> None:
        """Start the threads; blocks while keys are fetched for the first time, within bounds."""
        for thread in self._threads:
            thread.start()
        if self._authority.has_remote_keys:
            self._fetched.wait(FIRST_FETCH_SECONDS)

    def close(self) -> None:
        """End the threads, once started; one that is still fetching ends with the process."""
        self._closing.set()
        deadline = Deadline(CLOSE_SECONDS)
        for thread in self._threads:
            thread.join(deadline.left())

    def look(self) -> None:
        """Read the files again if the master has told so since the last look.

        A file that cannot be read, since it is just being written anew, is tried at the next look.
        """
        told = self._told.value
        if told != self._authority.version:
            self._mistake = _mistake_of(self._authority, self._mistake)
            if self._mistake is None:
                self._authority.version = told
                self._then()

    def fetch(self) -> None:
        """Fetch the keys behind a URL, if it is time; blocks as `Authority.refresh` does."""
        if self._authority.refresh():
            self._then()
        self._fetched.set()

    def _thread(self, name: str, look: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            look()
            while not self._closing.wait(LOOK_SECONDS):
                look()

        return threading.Thread(target=run, name=name, daemon=True)


def start_rereading(worker: Any, authority: Authority, told: Any) -> Rereader:
    """Start a worker's threads that look; its lane then forgets what it knew of heads.

    Blocks as `Rereader.start` does. The caller closes what is returned.
    """
    # gunicorn's own worker class has no lane.
    lane: Lane | None = getattr(worker, "lane", None)
    rereader = Rereader(authority, told, lane.forget_all if lane else lambda: None)
    rereader.start()
    return rereader


def _mistake_of(authority: Authority, logged: str | None = None) -> str | None:
    """Read the files; what is wrong with them, which is logged if it has not been, or None."""
    try:
        authority.reload()
    except Exception as error:
        # The thread must live on, whatever it is: the next reload may go well.
        mistake = str(error)
        if mistake != logged:
            unknown = None if isinstance(error, BadFile) else error
            log.error("the files stay as they were: %s", mistake, exc_info=unknown)
        return mistake
    return None
