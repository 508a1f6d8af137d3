"""Clients that read as members of a group, commit, and come back after a loss.

After an answer that they cannot be sure of they never commit with that instance again, since it
may have handed out records that they have not got.
"""

import base64
import json
import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from tests.chaos.book import Book
from tests.chaos.events import Attempted, Committed, Handed, Place
from tests.chaos.rude import begun
from tests.performance.client import Client
from tests.stack import Reply

READ_SECONDS, JOIN_SECONDS = 1.0, 10.0
COMMIT_SECONDS = METADATA_SECONDS = CLOSE_SECONDS = 5.0
MAX_BYTES = 10_000
DONE = (200, 204)
SURE = (500,)
"""Answers of the owner itself that say that nothing was done."""
LEFT_READ_MS = 200
LEFT_PAUSE_SECONDS = 2.0
DELETE_SECONDS = 30.0


class Kind(NamedTuple):
    """How a group reads: its version of the API, by hand or in the group, whether it leaves."""

    version: str
    format: str
    by_hand: bool = False
    leaves: bool = False


class Lost(Exception):
    """The instance is gone, or may have handed out what never came."""


class Reader:
    """One member of a group: makes an instance, reads, commits, deletes it, makes another."""

    pause = 0.02

    def __init__(
        self, client: Client, book: Book, topic: str, partitions: int, group: str, kind: Kind
    ) -> None:
        self._client, self._book, self._kind = client, book, kind
        self._topic, self._partitions = topic, partitions
        self.group = group
        self._path = self._session = ""
        self._position: dict[int, int] = {}

    def step(self) -> None:
        """One thing that a reader does."""
        try:
            if not self._path:
                self._make()
            elif self._kind.leaves and self._knows_all and random.random() < 0.1:
                self._leave()
            else:
                self._read()
                if random.random() < 0.3:
                    self._commit()
            if random.random() < 0.02:
                self._commit()
                raise Lost
        except Lost:
            self.end()

    @property
    def _knows_all(self) -> bool:
        return len(self._position) == self._partitions

    def end(self) -> None:
        """Delete the instance, without a commit: until somebody has answered for its owner."""
        path, self._path = self._path, ""
        self._position.clear()
        end = time.monotonic() + DELETE_SECONDS
        while path and time.monotonic() < end:
            reply = self._ask("delete", CLOSE_SECONDS, "DELETE", path)
            if reply.status in (*DONE, 404):
                return
            time.sleep(0.2)

    def _make(self) -> None:
        first = "smallest" if self._kind.version == "v1" else "earliest"
        body = {"format": self._kind.format, "auto.offset.reset": first}
        body["auto.commit.enable"] = "false"
        if random.random() < 0.5:
            body["name"] = f"i{uuid.uuid4().hex[:10]}"
        made = self._ask("create", METADATA_SECONDS, "POST", f"/consumers/{self.group}", body)
        if made.status != 200:
            time.sleep(0.2)
            return
        self._path = urlsplit(made.json["base_uri"]).path
        self._session = self._path.rpartition("/")[2]
        if self._kind.by_hand:
            all_of_them = [
                {"topic": self._topic, "partition": number} for number in range(self._partitions)
            ]
            self._do("assign", "assignments", METADATA_SECONDS, {"partitions": all_of_them})
        elif self._kind.version == "v2":
            self._do("subscribe", "subscription", METADATA_SECONDS, {"topics": [self._topic]})

    def _read(self) -> None:
        reply = self._ask("read", READ_SECONDS + JOIN_SECONDS, "GET", self._reads(1000))
        if reply.status == 200:
            self._note(reply)
        elif reply.status not in SURE:
            raise Lost

    def _reads(self, timeout_ms: int) -> str:
        if self._kind.version == "v1":
            return f"{self._path}/topics/{quote(self._topic)}?max_bytes={MAX_BYTES}"
        return f"{self._path}/records?max_bytes={MAX_BYTES}&timeout={timeout_ms}"

    def _note(self, reply: Reply) -> None:
        records = []
        for record in reply.json:
            place = Place(record["partition"], record["offset"])
            records.append(Handed(self.group, self._session, place, self._number(record["value"])))
            self._position[place.partition] = place.offset + 1
        self._book.handed(records)

    def _number(self, value: Any) -> int:
        if self._kind.format == "binary":
            value = json.loads(base64.b64decode(value))
        return int(value["number"])

    def _commit(self) -> None:
        if not self._path:
            return
        ends = list(self._position.items())
        self._book.about_commit([Attempted(self.group, *end) for end in ends])
        reply = self._ask("commit", COMMIT_SECONDS, "POST", f"{self._path}/offsets")
        if reply.status == 200:
            # v1 says what was committed; in v2 it is the broker that is asked, see watch.
            said = reply.json if self._kind.version == "v1" else []
            committed = [Committed(self.group, p["partition"], p["committed"] + 1) for p in said]
            self._book.about_commit(committed)
        elif reply.status not in SURE:
            raise Lost

    def _leave(self) -> None:
        """Ask for records and go before they come; then seek to what was got."""
        head = (
            f"GET {self._reads(LEFT_READ_MS)} HTTP/1.1\r\nHost: chaos\r\n"
            f"Accept: application/vnd.kafka.{self._kind.format}.{self._kind.version}+json\r\n\r\n"
        )
        with suppress(OSError), begun(self._client.url) as connection:
            connection.sendall(head.encode())
            time.sleep(random.uniform(0.0, LEFT_READ_MS / 1000))
        # The read may go on for as long as it was told to wait, and end behind the seek.
        time.sleep(LEFT_PAUSE_SECONDS)
        offsets = [
            {"topic": self._topic, "partition": partition, "offset": offset}
            for partition, offset in self._position.items()
        ]
        self._do("seek", "positions", METADATA_SECONDS, {"offsets": offsets})

    def _do(self, what: str, name: str, seconds: float, body: Any) -> None:
        if self._ask(what, seconds, "POST", f"{self._path}/{name}", body).status not in DONE:
            raise Lost

    def _ask(self, what: str, seconds: float, method: str, path: str, body: Any = None) -> Reply:
        plain = f"application/vnd.kafka.{self._kind.version}+json"
        embedded = f"application/vnd.kafka.{self._kind.format}.{self._kind.version}+json"
        headers = {"Accept": embedded if what == "read" else plain}
        if method == "POST":
            headers["Content-Type"] = plain
        call: Callable[[float], Reply] = lambda timeout: self._client.request(  # noqa: E731
            method, path, body, headers, timeout
        )
        return self._book.ask(what, seconds, call, path.partition("?")[0])
