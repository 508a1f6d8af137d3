"""The schema registry client: what it sends, its failover, what its errors say and hide."""

import gzip
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests
from urllib3 import HTTPResponse

from kafka_rest import errors
from kafka_rest.errors import SchemaRegistryFailure
from kafka_rest.metrics import Cells
from kafka_rest.records import Deadline, SchemaReference
from kafka_rest.schemas.client import MOST_BYTES, SchemaRegistryClient
from kafka_rest.schemas.subjects import STRATEGIES


def answer(status: int, body: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code, made.reason = status, "Reason"
    made.raw = HTTPResponse(io.BytesIO(body), preload_content=False)
    return made


class FakeSession(requests.Session):
    """A session that answers from a function."""

    calls: list[tuple[str, str, Any, float]]
    respond: Callable[[str], requests.Response]

    def request(self, method: str, url: str, **more: Any) -> requests.Response:  # type: ignore[override]
        self.calls.append((method, url, more["json"], more["timeout"]))
        return type(self).respond(url)


def client(
    respond: Callable[[str], requests.Response],
    urls: tuple[str, ...] = ("http://a:1",),
    cells: Cells | None = None,
) -> tuple[SchemaRegistryClient, list[Any]]:
    calls: list[Any] = []
    kind = type("Session", (FakeSession,), {"calls": calls, "respond": staticmethod(respond)})
    return SchemaRegistryClient(urls, 5.0, "", kind, cells=cells), calls


def refuse(error: Exception) -> Callable[[str], requests.Response]:
    def respond(_url: str) -> requests.Response:
        raise error

    return respond


def test_registration_of_avro_leaves_out_the_type() -> None:
    made, calls = client(lambda _: answer(200, b'{"id":5}'))
    assert made.register("a/b c", "AVRO", '"int"', (), Deadline(1)) == 5
    method, url, body, timeout = calls[0]
    assert (method, url) == ("POST", "http://a:1/subjects/a%2Fb%20c/versions")
    assert body == {"schema": '"int"'}
    assert 0 < timeout <= 1
    made.close()


def test_other_types_and_references_are_sent() -> None:
    made, calls = client(lambda _: answer(200, b'{"id":5}'))
    made.register("s", "JSON", "{}", (SchemaReference("n", "t", 2, "text"),), Deadline(1))
    assert calls[0][2] == {
        "schema": "{}",
        "schemaType": "JSON",
        "references": [{"name": "n", "subject": "t", "version": 2}],
    }


def test_refusal_carries_the_registrys_code_and_text() -> None:
    made, _ = client(lambda _: answer(409, b'{"error_code":409,"message":"incompatible"}'))
    with pytest.raises(SchemaRegistryFailure, match=r"registration under subject s.*409: incompat"):
        made.register("s", "AVRO", '"int"', (), Deadline(1))
    with pytest.raises(SchemaRegistryFailure, match="lookup of id 3"):
        made.schema_by_id(3, Deadline(1))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.RegistryUnauthenticated), (403, errors.RegistryForbidden)],
)
def test_refused_credentials_are_named(status: int, kind: type[errors.RestError]) -> None:
    made, _ = client(lambda _: answer(status, b'{"message":"hunter2"}'))
    with pytest.raises(kind, match="the schema registry refused the proxy's"):
        made.register("s", "AVRO", '"int"', (), Deadline(1))


def test_tls_failure_says_why() -> None:
    cause = ssl.SSLCertVerificationError(1, "x")
    cause.verify_message = "certificate has expired"
    made, _ = client(refuse(requests.exceptions.SSLError(cause)))
    with pytest.raises(SchemaRegistryFailure, match="certificate has expired"):
        made.schema_by_id(1, Deadline(1))


MALFORMED = [
    (200, b"<html>"),
    (200, b""),
    (200, b"[]"),
    (200, b'{"x":1}'),
    (200, b'{"id":"5"}'),
    (502, b"<html>Bad gateway"),
    (500, b""),
    (404, b"[]"),
]


@pytest.mark.parametrize(("status", "body"), MALFORMED)
def test_malformed_answer_is_a_failure(status: int, body: bytes) -> None:
    made, _ = client(lambda _: answer(status, body))
    with pytest.raises(SchemaRegistryFailure):
        made.register("s", "AVRO", '"int"', (), Deadline(1))


def test_next_url_is_tried_and_remembered() -> None:
    def respond(url: str) -> requests.Response:
        if url.startswith("http://a"):
            raise requests.ConnectionError
        return answer(200, b'{"id":5}')

    made, calls = client(respond, ("http://a:1", "http://b:2/path"))
    for _ in range(2):
        made.register("s", "AVRO", '"int"', (), Deadline(5))
    assert [url.partition("/subjects")[0] for _, url, _, _ in calls] == [
        "http://a:1",
        "http://b:2/path",
        "http://b:2/path",
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.ConnectionError("http://u:hunter2@a:1 refused"), "a:1: no connection"),
        (requests.Timeout("hunter2"), "no answer in time"),
        (requests.exceptions.SSLError("hunter2"), "TLS"),
    ],
)
def test_unreachable_registry_is_named_without_credentials(error: Exception, said: str) -> None:
    made, _ = client(refuse(error), ("http://u:hunter2@a:1",))
    with pytest.raises(SchemaRegistryFailure) as failed:
        made.schema_by_id(1, Deadline(1))
    assert said in str(failed.value)
    assert "hunter2" not in str(failed.value)


def test_no_url_at_all_is_said() -> None:
    made, _ = client(lambda _: answer(200, b""), ())
    with pytest.raises(SchemaRegistryFailure, match="empty"):
        made.schema_by_id(1, Deadline(1))


def test_subject_follows_the_topic() -> None:
    subjects = {n: found.subject("t", "key", "shop.User") for n, found in STRATEGIES.items()}
    assert subjects == {
        "TopicNameStrategy": "t-key",
        "RecordNameStrategy": "shop.User",
        "TopicRecordNameStrategy": "t-shop.User",
    }


def test_calls_are_counted_by_what_came_of_them() -> None:
    def respond(url: str) -> requests.Response:
        if url.startswith("http://a:1"):
            raise requests.ConnectionError
        return answer(404 if url.endswith("/7") else 200, b'{"schema":"x"}')

    cells = Cells()
    made, _ = client(respond, ("http://a:1", "http://b:2"), cells)
    made.schema_by_id(6, Deadline(1))
    with pytest.raises(SchemaRegistryFailure):
        made.schema_by_id(7, Deadline(1))
    made.close()
    counted = {found.labels[0]: sum(found.numbers[:-1]) for found in cells.series()}
    assert counted == {"unreachable": 1, "answered": 1, "refused": 1}


@contextmanager
def registry(talk: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[int]]]:
    """A registry that says what `talk` does on every connection: its URL, and a list that has one
    more for each of them.
    """
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            connections.append(1)
            connection.settimeout(5)
            with connection:
                try:
                    talk(connection)
                except OSError:
                    # The client has gone.
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def each_request(*parts: bytes, pause: float = 0) -> Callable[[socket.socket], None]:
    """What answers each request of a connection with these parts, with a pause behind each."""

    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            for part in parts:
                connection.sendall(part)
                threading.Event().wait(pause)

    return talk


PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"schema":"x"}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"sch\r\n9\r\nema":"x"}\r\n0\r\n\r\n'
)


@pytest.mark.parametrize("text", [PLAIN, CHUNKED])
def test_connection_serves_the_next_call(text: bytes) -> None:
    with (
        registry(each_request(text)) as (url, connections),
        closing(SchemaRegistryClient((url,), 5.0)) as made,
    ):
        for _ in range(3):
            assert made.schema_by_id(1, Deadline(5)) == {"schema": "x"}
    assert len(connections) == 1


def test_answer_that_trickles_in_is_late_and_the_next_url_is_tried() -> None:
    endless = each_request(PLAIN[:-14].replace(b"14", b"60"), *[b" "] * 60, pause=0.05)
    with registry(endless) as (slow, _), registry(each_request(PLAIN)) as (good, _):
        with closing(SchemaRegistryClient((slow, good), 0.2)) as made:
            assert made.schema_by_id(1, Deadline(5)) == {"schema": "x"}
        with (
            closing(SchemaRegistryClient((slow,), 0.2)) as made,
            pytest.raises(SchemaRegistryFailure, match=r"unreachable, .*no answer in time"),
        ):
            made.schema_by_id(1, Deadline(5))


def test_answer_that_breaks_off_is_no_answer() -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(PLAIN[:-1])

    with (
        registry(talk) as (url, _),
        closing(SchemaRegistryClient((url,), 5.0)) as made,
        pytest.raises(SchemaRegistryFailure, match=r"unreachable, .*no connection"),
    ):
        made.schema_by_id(1, Deadline(5))


def test_answer_without_an_end_is_refused() -> None:
    cells = Cells()
    made, _ = client(lambda _: answer(200, b" " * (MOST_BYTES + 1)), cells=cells)
    with pytest.raises(SchemaRegistryFailure, match=r"lookup of id 3.*more than 16777216 bytes"):
        made.schema_by_id(3, Deadline(1))
    assert [found.labels for found in cells.series()] == [("answered",)]


def test_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b'{"schema":"x"}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with (
        registry(each_request(head.encode() + packed)) as (url, connections),
        closing(SchemaRegistryClient((url,), 5.0)) as made,
    ):
        for _ in range(2):
            assert made.schema_by_id(1, Deadline(5)) == {"schema": "x"}
    assert len(connections) == 1
