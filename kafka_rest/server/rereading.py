"""Reads the operator's files again in every worker when the master has been told to (SIGHUP).

The master reads them first: a file that cannot be used reaches no worker, and one that is made
later begins with what the master has. Workers are told by a number that they share with the master
and look at: a signal would end one that is just starting.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kafka_rest.security.authority import Authority
from kafka_rest.security.files import BadFile
from kafka_rest.server.lane import Lane

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
FIRST_LOOK_SECONDS = 5.0
"""How long a worker that starts waits for keys that do not come."""


def reread(authority: Authority, told: Any) -> None:
    """In the master: read the files, and tell the workers if they can be used."""
    if _mistake_of(authority) is None:
        authority.version += 1
        told.value = authority.version
        log.info("files of users, rules and certificates read again")


class Rereader:
    """A worker's look at whether the master has told it. `then` is called after each change."""

    def __init__(self, authority: Authority, told: Any, then: Callable[[], None]) -> None:
        self._authority, self._told, self._then = authority, told, then
        self._mistake: str | None = None
        self.looked = threading.Event()

    def look(self) -> None:
        """Read the files again if the master has told so since the last look; fetch what is due.

        A file that cannot be read, since it is just being written anew, is tried at the next look.
        """
        told = self._told.value
        if told != self._authority.version:
            self._mistake = _mistake_of(self._authority, self._mistake)
            if self._mistake is None:
                self._authority.version = told
                self._then()
        if self._authority.refresh():
            self._then()

    def run(self) -> None:
        """Look now and then, for as long as the process lives."""
        while True:
            self.look()
            self.looked.set()
            time.sleep(LOOK_SECONDS)


def start_rereading(worker: Any, authority: Authority, told: Any) -> None:
    """Start a worker's thread that looks; its lane then forgets what it knew of heads.

    Blocks for its first look, in which keys for tokens are fetched, within bounds.
    """
    # gunicorn's own worker class has no lane.
    lane: Lane | None = getattr(worker, "lane", None)
    rereader = Rereader(authority, told, lane.forget_all if lane else lambda: None)
    threading.Thread(target=rereader.run, name="rereader", daemon=True).start()
    rereader.looked.wait(FIRST_LOOK_SECONDS)


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
