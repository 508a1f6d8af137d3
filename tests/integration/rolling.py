"""Clients that live whole consumer lives through a balancer, and book what they were told."""

import http.client
import json
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from kafka_rest.pinning import owner_peer

READ_SECONDS = 30.0
"""How long a consumer reads for what has been acknowledged: less than the session of a member that
has ended without a goodbye.
"""
DONE = (200, 204)
NO_ANSWER = 502
PLAIN = "application/vnd.kafka.v2+json"
JSON = "application/vnd.kafka.json.v2+json"


class Told(NamedTuple):
    """What was asked, of which proxy's instance, status and error code of the answer."""

    what: str
    owner: int | None
    status: int
    code: int | None


class Gone(Exception):
    """The instance may be no more, or not know what it has handed out: make another one."""


class Place(NamedTuple):
    """Where a client produces to, alone."""

    topic: str
    partition: int


class Book:
    """What all clients were told; thread-safe as its members are used."""

    def __init__(self) -> None:
        self.told: Counter[Told] = Counter()
        self.wrong: list[str] = []
        self.texts: defaultdict[Told, set[str]] = defaultdict(set)
        self.acknowledged: dict[Place, dict[int, int]] = {}
        self.lives: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self._lock = threading.Lock()

    def note(self, told: Told, text: str) -> None:
        with self._lock:
            self.told[told] += 1
            self.texts[told].add(text)

    def write(self, complaint: str) -> None:
        with self._lock:
            self.wrong.append(complaint)


class Client:
    """One client: its connection to the balancer, its group, and the partition it produces to."""

    def __init__(self, number: int, port: int, place: Place, book: Book, peers: int) -> None:
        self._number, self._place, self._book, self._peers = number, place, book, peers
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
        self._group = f"g{uuid.uuid4().hex[:10]}"
        self._sequence = count()
        self._acknowledged = book.acknowledged.setdefault(place, {})
        # Of what this client has been handed out: the next offset; what it has committed.
        self._seen = 0
        # Of the instance that it lives with.
        self._owner: int | None = None
        # What it was told last that was no success.
        self._trouble: deque[tuple[Told, str]] = deque(maxlen=5)

    def run(self, stop: threading.Event) -> None:
        """Live one life after the other."""
        try:
            while not stop.is_set():
                try:
                    self._live(named=next(self._sequence) % 2 == 0)
                except Gone:
                    continue
                self._book.lives[self._number] += 1
        except Exception as error:
            self._book.write(f"client {self._number}: {error!r}")
        finally:
            self._connection.close()

    def _live(self, named: bool) -> None:
        self._produce()
        body: dict[str, Any] = {
            "format": "json",
            "auto.offset.reset": "earliest",
            "auto.commit.enable": False,
        }
        if named:
            body["name"] = f"i{uuid.uuid4().hex[:8]}"
        made = self._ask("create", "POST", f"/consumers/{self._group}", body)
        path = f"/consumers/{self._group}/instances/{made['instance_id']}"
        self._owner = owner = owner_peer(self._group, made["instance_id"], self._peers)
        try:
            self._use(path)
        except Gone:
            # Whoever cannot say what it has handed out must not commit that.
            self._book.lost[owner] += 1
            self._delete("delete after a loss", path)
            raise
        else:
            self._delete("delete", path)
        finally:
            self._owner = None

    def _use(self, path: str) -> None:
        self._ask("subscribe", "POST", f"{path}/subscription", {"topics": [self._place.topic]})
        start = self._read_to_the_end(path, None)
        self._ask("commit", "POST", f"{path}/offsets")
        if start is None:
            return
        # Once more from where this life began.
        place = self._place._asdict()
        self._ask("seek", "POST", f"{path}/positions", {"offsets": [place | {"offset": start}]})
        self._read_to_the_end(path, start)

    def _read_to_the_end(self, path: str, start: int | None) -> int | None:
        """Read until all that was acknowledged has come; the first offset of the own partition."""
        wanted = max(self._acknowledged, default=-1) + 1
        first, position = None, start
        end = time.monotonic() + READ_SECONDS
        while time.monotonic() < end:
            for record in self._ask("read", "GET", f"{path}/records?timeout=1000"):
                if record["partition"] != self._place.partition:
                    continue
                offset = record["offset"]
                if position is None and offset > self._seen:
                    self._book.write(f"{self._place}: {offset} follows {self._seen}")
                elif position is not None and offset != position:
                    self._book.write(f"{self._place}: {offset} in place of {position}")
                first = offset if first is None else first
                position = offset + 1
                self._seen = max(self._seen, position)
            if (position or self._seen) >= wanted:
                return first
        self._book.write(
            f"{self._place}: {wanted} not read by {self._group} from {self._owner}, but "
            f"{position}; before: {list(self._trouble)}"
        )
        return first

    def _produce(self) -> None:
        number = next(self._sequence)
        value = {"client": self._number, "n": number}
        record = {"value": value, "partition": self._place.partition}
        body = {"records": [record]}
        _, answer = self._request("produce", "POST", f"/topics/{self._place.topic}", body, JSON)
        for result in answer.get("offsets", ()):
            code = result.get("error_code")
            self._book.note(Told("produce a record", None, 200, code), str(result.get("error")))
            if code is None:
                self._acknowledged[result["offset"]] = number

    def _delete(self, what: str, path: str) -> None:
        # Until some proxy has answered: one that is left would keep its partitions from the next.
        while self._request(what, "DELETE", path)[0] == NO_ANSWER:
            pass

    def _ask(self, what: str, method: str, path: str, body: Any = None) -> Any:
        """One request. Raises: Gone for any other answer than success."""
        status, answer = self._request(what, method, path, body)
        if status not in DONE:
            raise Gone
        return answer

    def _request(
        self,
        what: str,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = PLAIN,
    ) -> tuple[int, Any]:
        """Status and answer of one request, which are noted."""
        headers = {"Accept": JSON if what == "read" else PLAIN}
        if body is not None:
            headers["Content-Type"] = content_type
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, data, headers)
        reply = self._connection.getresponse()
        text = reply.read()
        answer = json.loads(text) if text else None
        failed = reply.status not in DONE
        told = Told(what, self._owner, reply.status, answer["error_code"] if failed else None)
        said = answer["message"] if failed else ""
        self._book.note(told, said)
        if failed:
            self._trouble.append((told, said))
        return reply.status, answer


def threads_of(clients: list[Client], stop: threading.Event) -> Iterator[threading.Thread]:
    """A running thread for each client."""
    for client in clients:
        thread = threading.Thread(target=client.run, args=(stop,), daemon=True)
        thread.start()
        yield thread
