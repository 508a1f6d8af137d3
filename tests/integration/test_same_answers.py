"""A request that the server has seen before is answered as one that it has never seen.

The same produce request goes out with a head that is new to the server, on a connection of its own,
and again and again with one and the same head on a connection that stays: the answers, and what
becomes of the connection, are the same.
"""

import json
import re
import urllib.request
import uuid
from collections.abc import Iterator, Mapping

import pytest

from kafka_rest.devstack.children import EmbeddedBroker
from tests.integration.wire.client import Answer, Client
from tests.integration.wire.produce_cases import CASES, MOST_BYTES, RECORD, Case
from tests.stack import Proxy, Stack, wait_for

REPEATS = 6
UNKNOWN_TOPIC = 3
GET = b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n"
AVRO = {"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}]}
SCHEMAS = {
    "avro": ("AVRO", json.dumps(AVRO)),
    "json": ("JSON", '{"type":"object","properties":{"a":{"type":"integer"}}}'),
    "proto": ("PROTOBUF", 'syntax = "proto3"; message M { int32 a = 1; }'),
}
SETTINGS = {
    "request.max.bytes": str(MOST_BYTES),
    "metadata.timeout.ms": "500",
    "metadata.max.age.ms": "500",
}


@pytest.fixture(scope="module")
def server(stack: Stack) -> Iterator[Proxy]:
    """One worker, so that whatever it remembers is there on every connection."""
    with Proxy(stack, SETTINGS, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def names(stack: Stack) -> dict[str, str]:
    """What stands in the cases for topics and schema ids."""
    found = {"topic": stack.create_topic()}
    found["escaped topic"] = f"%74{found['topic'][1:]}"
    for name, (schema_type, text) in SCHEMAS.items():
        found[name] = stack.create_topic()
        found[f"{name} id"] = str(register(stack, f"{found[name]}-value", schema_type, text))
    return found


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A broker of one's own, on which topics can go for good."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture(scope="module")
def strict(broker: EmbeddedBroker, stack: Stack) -> Iterator[Proxy]:
    """A proxy on it."""
    own = Stack(broker.bootstrap, stack.registry, broker)
    with Proxy(own, SETTINGS | {"metadata.timeout.ms": "200"}, workers=1) as running:
        yield running


def register(stack: Stack, subject: str, schema_type: str, text: str) -> int:
    request = urllib.request.Request(
        f"{stack.registry}/subjects/{subject}/versions",
        json.dumps({"schema": text, "schemaType": schema_type}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return int(json.load(answer)["id"])


def unseen(case: Case) -> bytes:
    """The request with a head that no server has seen."""
    return case.head(f"X-Unseen: {uuid.uuid4().hex}") + case.body


def ends(client: Client, answer: Answer) -> bool:
    """True if the connection has ended with the answer; nothing comes after it either way."""
    if not answer.closes:
        assert client.ask(GET).body == b"{}"
        return False
    assert client.rest() == b""
    return True


def answer_unseen(server: Proxy, case: Case) -> Answer:
    with Client(server.port) as client:
        answer = client.ask(unseen(case))
        ends(client, answer)
        return answer.steady


def answers_known(server: Proxy, case: Case) -> list[Answer]:
    """The answers to one and the same head, on one connection as long as the server keeps it."""
    found, client = [], Client(server.port)
    for _ in range(REPEATS):
        found.append(client.ask(case.head() + case.body).steady)
        if found[-1].closes:
            assert client.rest() == b""
            client.close()
            client = Client(server.port)
    assert client.ask(GET).body == b"{}"
    client.close()
    return found


def same_answers(server: Proxy, case: Case) -> None:
    first = answer_unseen(server, case)
    assert first.status == case.status, first
    assert answers_known(server, case) == [first] * REPEATS
    assert answer_unseen(server, case) == first


@pytest.mark.parametrize("name", CASES)
def test_known_head_changes_no_answer(server: Proxy, names: Mapping[str, str], name: str) -> None:
    same_answers(server, CASES[name].filled(names))


IDS = {
    "given": ("X-Request-ID: a-1",),
    "given otherwise": ("x-request-id:a-1", "traceparent: 00-1-2-01"),
    "given with others": ("X-Correlation-ID: b", "X-Request-ID:  a-1 ", "tracestate: a=1, b=2"),
    "unfit": ("X-Request-ID: a 1",),
    "too long": (f"X-Request-ID: {'a' * 600}",),
    "beyond ASCII": ("X-Request-ID: \xe4",),
    "given twice": ("X-Request-ID: a-1", "X-Request-ID: a-2"),
    "empty": ("X-Request-ID:",),
    "not given": ("X-Correlation-ID: b",),
}


@pytest.mark.parametrize("body", [RECORD, b"{", b""], ids=["taken", "refused", "none"])
@pytest.mark.parametrize("name", IDS)
def test_known_head_changes_no_request_id(
    server: Proxy, names: Mapping[str, str], name: str, body: bytes
) -> None:
    status = {RECORD: 200, b"{": 400, b"": 422}[body]
    case = Case(status, body, headers=IDS[name]).filled(names)
    same_answers(server, case)
    with Client(server.port) as client:
        answer = client.ask(case.head() + case.body)
    found = re.findall(rb"\r\nX-Request-ID: ([^\r]+)(?=\r\n)", answer.head)
    minted = [id for id in found if re.fullmatch(b"[0-9a-f]{32}", id)]
    if name.startswith("given") and name != "given twice":
        assert found == [b"a-1"]
    elif name == "not given" and case.status == 200:
        assert found == []
    else:
        assert len(found) == 1
        assert minted == found


def test_body_that_waits_for_100_continue(server: Proxy, names: Mapping[str, str]) -> None:
    case = Case(200, headers=("Expect: 100-continue",)).filled(names)
    heads = [case.head(f"X-Unseen: {uuid.uuid4().hex}"), *[case.head()] * REPEATS]
    answers = []
    with Client(server.port) as client:
        for head in heads:
            client.send(head)
            assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            answers.append(client.ask(case.body).steady)
    assert [answer.status for answer in answers] == [200] * len(heads)
    assert answers == answers[:1] * len(heads)


def test_topic_that_a_request_creates(server: Proxy) -> None:
    def new() -> Case:
        return Case(200, path=f"/topics/made-{uuid.uuid4().hex[:10]}/partitions/0")

    first, known = answer_unseen(server, new()), answers_known(server, new())
    assert first.status == 200
    assert known == [first] * REPEATS


@pytest.mark.parametrize("place", ["", "/partitions/0"])
def test_topic_that_no_request_creates(strict: Proxy, broker: EmbeddedBroker, place: str) -> None:
    topic = f"never-{uuid.uuid4().hex[:10]}"
    broker.topic_error(topic, UNKNOWN_TOPIC)
    same_answers(strict, Case(404, path=f"/topics/{topic}{place}"))


@pytest.mark.parametrize("place", ["", "/partitions/0"])
def test_topic_that_goes_and_comes_back(strict: Proxy, broker: EmbeddedBroker, place: str) -> None:
    topic = f"goes-{uuid.uuid4().hex[:10]}"
    broker.create_topic(topic, 1)
    here = Case(200, path=f"/topics/{topic}{place}")
    same_answers(strict, here)
    with Client(strict.port) as client:
        assert client.ask(here.head() + here.body).places
        broker.delete_topic(topic)
        broker.topic_error(topic, UNKNOWN_TOPIC)
        wait_for(lambda: client.ask(here.head() + here.body).status == 404)
        same_answers(strict, here._replace(status=404))
        broker.topic_error(topic, 0)
        wait_for(lambda: client.ask(here.head() + here.body).places)
        same_answers(strict, here)


# -- several requests in one write
# ------------------------------------------------------------------------------------------


def pieces(names: Mapping[str, str]) -> dict[str, bytes]:
    """Requests for pipelines; those of capital letters have heads that become known."""
    good = Case(200).filled(names)
    bad = good._replace(body=b"x" * len(good.body))
    lost = Case(404, path="/topics/@topic@/partitions/7").filled(names)
    large = Case(200, b'{"records":[{"value":"%b"}]}' % (b"a" * (MOST_BYTES - 100))).filled(names)
    closing = good._replace(headers=("Connection: close",))
    broken = good._replace(framing=("Content-Length: x",))
    capitals = {"K": good, "M": bad, "L": lost, "B": large, "C": closing, "X": broken}
    made = {letter: case.head() + case.body for letter, case in capitals.items()}
    return {**made, "u": unseen(good), "m": unseen(bad), "g": GET}


STATUSES = {"K": 200, "M": 400, "L": 404, "B": 200, "C": 200, "X": 400, "u": 200, "m": 400}
PIPELINES = {
    "KuK": "known, unknown, known",
    "uKu": "unknown, known, unknown",
    "KgK": "a GET between two known ones",
    "KMK": "a body that is no JSON behind a known head",
    "KmKLuKMgB": "all kinds",
    "K" * 20: "20 known ones",
    "u" * 20: "20 unknown ones",
    "B" * 20: "20 large ones",
    "Ku" * 20: "40 in turn",
    "KCKK": "nothing after the one that closes",
    "KXKK": "nothing after the one that cannot be parsed",
}


@pytest.mark.parametrize("letters", PIPELINES, ids=PIPELINES.get)
def test_pipeline_is_answered_in_order(
    server: Proxy, names: Mapping[str, str], letters: str
) -> None:
    requests = pieces(names)
    last = min((letters.index(end) + 1 for end in "CX" if end in letters), default=len(letters))
    with Client(server.port) as client:
        for letter in "KMLB" * 3:
            assert client.ask(requests[letter]).status == STATUSES[letter]
        client.send(b"".join(requests[letter] for letter in letters))
        answers = [client.answer() for _ in letters[:last]]
        assert [a.status for a in answers] == [STATUSES.get(x, 200) for x in letters[:last]]
        assert [a.body == b"{}" for a in answers] == [x == "g" for x in letters[:last]]
        stored = [offset for a in answers if b'"offsets"' in a.body for _, offset in a.places]
        assert stored == list(range(stored[0], stored[0] + len(stored)))
        assert ends(client, answers[-1]) == (last < len(letters))


def test_pipeline_goes_on_after_a_pause_anywhere(server: Proxy, names: Mapping[str, str]) -> None:
    requests = pieces(names)
    known, unknown = requests["K"], requests["u"]
    with Client(server.port) as client:
        for _ in range(3):
            assert client.ask(known).status == 200
        for cut in range(1, len(known)):
            client.send(known + known[:cut])
            first = client.answer()
            client.send(known[cut:] + unknown)
            found = [first, client.answer(), client.answer()]
            assert [answer.status for answer in found] == [200] * 3
            offsets = [answer.places[0][1] for answer in found]
            assert offsets == list(range(offsets[0], offsets[0] + 3))
        assert client.ask(GET).body == b"{}"
