"""Recorded exchanges with the reference proxy: run one against our server and say what differs.

A recording is one JSON file: topics and schemas to prepare, then steps, each a request and the
answer that the reference gave. `${name}` stands for a fresh or saved value; `<<int>>`,
`<<string>>`, `<<number>>`, `<<any>>` match by kind. Error texts are ours: only their presence is
compared.
"""

import base64
import http.client
import json
import re
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.stack import Proxy

UNTIL_SECONDS = 20.0
CHUNK_PAUSE_SECONDS = 0.05
_KINDS: dict[str, tuple[type, ...]] = {
    "<<int>>": (int,),
    "<<number>>": (int, float),
    "<<string>>": (str,),
}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_REPEATED = re.compile(r"\$\{(\w+)\*(\d+)\}")
_ENVELOPED = re.compile(r"\$\{(\w+)@([\w+/=]*)\}")


def recordings(folder: Path) -> list[Path]:
    """The recordings in a folder."""
    return sorted(folder.glob("*.json"))


def deviations(path: Path) -> list[int]:
    """The rows of docs/compatibility.md that a recording runs into."""
    found: list[int] = json.loads(path.read_text()).get("deviates", [])
    return found


@dataclass
class Recording:
    """One scenario against one server."""

    path: Path
    proxy: Proxy
    # Steps, counted from 1, that are done and not compared.
    left_out: frozenset[int] = frozenset()
    values: dict[str, Any] = field(default_factory=dict)

    def differences(self) -> list[str]:
        """Run all steps; the list of what the server did otherwise."""
        scenario = json.loads(self.path.read_text())
        self._prepare(scenario)
        found: list[str] = []
        answers = [self._run(step) for step in scenario["steps"]]
        # An earlier step may be compared with what a later one saved.
        for number, (step, got) in enumerate(zip(scenario["steps"], answers, strict=True), 1):
            if got is None or number in self.left_out:
                continue
            want = self._typed(step.get("expect", {}))
            where = f"step {number} {step['method']} {step['path']}"
            found += _compare(want, got, step.get("volatile", []), where)
        return found

    def _prepare(self, scenario: dict[str, Any]) -> None:
        stack = self.proxy.stack
        brokers = (
            AdminClient({"bootstrap.servers": stack.bootstrap}).list_topics(timeout=20).brokers
        )
        self.values |= {
            "url": self.proxy.url,
            "g": f"g{uuid.uuid4().hex[:10]}",
            "broker": min(brokers),
        }
        for name, topic in scenario.get("topics", {}).items():
            self.values[name] = stack.create_topic(
                topic.get("partitions", 1), topic.get("configs"), name
            )
            records = [
                (r.get("partition", 0), _bytes(r.get("key")), _bytes(r.get("value")))
                for r in topic.get("records", [])
            ]
            stack.produce(self.values[name], [(p, k, v) for p, k, v in records])
        for name, schema in scenario.get("schemas", {}).items():
            self.values[name] = self._register(schema)

    def _register(self, schema: dict[str, Any]) -> int:
        subject = self._filled(schema["subject"])
        body = {"schema": schema["schema"]}
        if schema.get("type", "AVRO") != "AVRO":
            body["schemaType"] = schema["type"]
        if "references" in schema:
            body["references"] = self._typed(schema["references"])
        request = urllib.request.Request(
            f"{self.proxy.stack.registry}/subjects/{subject}/versions",
            json.dumps(body).encode(),
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(json.loads(answer.read())["id"])

    def _run(self, step: dict[str, Any]) -> dict[str, Any] | None:
        """Send a step's request; None for a step of an API that is not there."""
        time.sleep(step.get("sleep", 0))
        if step["path"].startswith("/v3/"):
            if step["path"].endswith("/acls") and step["method"] == "POST":
                make_rule(self.proxy.stack.bootstrap, self._typed(step["body"]))
            return None
        request = self._typed({k: v for k, v in step.items() if k not in ("expect", "save")})
        until, joined = step.get("until"), []
        wanted = step.get("expect", {}).get("body")
        if isinstance(until, int) and isinstance(wanted, list):
            # The reference collected all that there was for a second; here they may come in parts.
            until = max(until, len(wanted))
        end = time.monotonic() + UNTIL_SECONDS
        while True:
            got = self._send(request)
            if isinstance(until, int) and isinstance(got["body"], list):
                got["body"] = joined = joined + got["body"]
            if _enough(until, got, joined) or time.monotonic() > end:
                break
        if "pick" in request:
            got["body"] = [element for element in got["body"] if element in request["pick"]]
        for name, dotted in step.get("save", {}).items():
            self.values[name] = _dig(got["body"], dotted)
        for dotted in step.get("unordered", []):
            listed = _dig(got["body"], dotted)
            if isinstance(listed, list):
                listed.sort(key=lambda v: json.dumps(v, sort_keys=True))
        return got

    def _send(self, step: dict[str, Any]) -> dict[str, Any]:
        path = step["path"].removeprefix(self.proxy.url)
        if "://" in path:
            path = re.sub(r"^\w+://[^/]+", "", path)
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=90)
        try:
            connection.request(step["method"], path, _body(step), step.get("headers", {}))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        return {
            "status": answer.status,
            "type": answer.getheader("Content-Type"),
            "headers": dict(answer.getheaders()),
            "body": json.loads(data) if data else None,
        }

    def _filled(self, text: str) -> str:
        text = _REPEATED.sub(lambda m: m[1] * int(m[2]), text)
        text = _ENVELOPED.sub(lambda m: _envelope(self.values[m[1]], m[2]), text)
        return _VARIABLE.sub(lambda m: str(self.values.get(m[1], m[0])), text)

    def _typed(self, value: Any) -> Any:
        """The value with variables filled in; a text that is one variable takes its type."""
        if isinstance(value, str):
            whole = _VARIABLE.fullmatch(value)
            if whole and whole[1] in self.values:
                return self.values[whole[1]]
            return self._filled(value)
        if isinstance(value, list):
            return [self._typed(v) for v in value]
        if isinstance(value, dict):
            return {self._filled(k): self._typed(v) for k, v in value.items()}
        return value


def make_rule(bootstrap: str, rule: dict[str, str]) -> None:
    """Do what a request of API v3 for a rule would: let a principal do something, or not."""
    made = AclBinding(
        ResourceType[rule["resource_type"]],
        rule["resource_name"],
        ResourcePatternType[rule["pattern_type"]],
        rule["principal"],
        rule["host"],
        AclOperation[rule["operation"]],
        AclPermissionType[rule["permission"]],
    )
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_acls([made]).values():
        future.result(UNTIL_SECONDS)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _envelope(schema_id: int, payload: str) -> str:
    data = b"\0" + schema_id.to_bytes(4, "big") + base64.b64decode(payload)
    return base64.b64encode(data).decode()


def _body(step: dict[str, Any]) -> Any:
    if "chunks" in step:
        return _slowly(step["chunks"])
    if "body" in step:
        return json.dumps(step["body"]).encode()
    if "raw" in step:
        return step["raw"].encode()
    return base64.b64decode(step["raw64"]) if "raw64" in step else None


def _slowly(chunks: list[str]) -> Any:
    for chunk in chunks:
        yield chunk.encode()
        time.sleep(CHUNK_PAUSE_SECONDS)


def _enough(until: int | str | None, got: dict[str, Any], joined: list[Any]) -> bool:
    if until is None or got["status"] >= 400:
        return True
    if isinstance(until, int):
        return len(joined) >= until
    return bool(got["body"] if until == "nonempty" else _dig(got["body"], until))


def _dig(value: Any, dotted: str) -> Any:
    for step in filter(None, dotted.split(".")):
        if isinstance(value, list):
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _compare(
    want: dict[str, Any], got: dict[str, Any], volatile: list[str], where: str
) -> list[str]:
    found: list[str] = []
    if "status" in want:
        _same(want["status"], got["status"], f"{where}: status", found)
    if want.get("type"):
        # The reference echoes parameters of the Accept header, which nobody relies on.
        bare = (got["type"] or "").partition(";")[0].lower()
        _same(want["type"].partition(";")[0].lower(), bare, f"{where}: type", found)
    for name, value in want.get("headers", {}).items():
        have = got["headers"].get(name, "")
        if name == "Allow":
            value, have = sorted(value.split(",")), sorted(have.split(","))
        _same(value, have, f"{where}: {name}", found)
    for dotted in volatile:
        _blank(got["body"], dotted)
    if "body" in want:
        _same(want["body"], got["body"], f"{where}: body", found)
    return found


def _blank(value: Any, dotted: str) -> None:
    if not dotted:
        # The whole answer: its recording holds <<any>>.
        return
    head, _, rest = dotted.partition(".")
    if isinstance(value, list):
        keys: list[Any] = list(range(len(value))) if head == "*" else [int(head)]
    else:
        keys = [head] if isinstance(value, dict) and head in value else []
    for key in keys:
        if rest:
            _blank(value[key], rest)
        else:
            value[key] = "<<any>>"


def _same(want: Any, got: Any, where: str, found: list[str]) -> None:
    if want == "<<any>>":
        return
    if isinstance(want, str) and want in _KINDS:
        if not isinstance(got, _KINDS[want]) or isinstance(got, bool):
            found.append(f"{where}: want {want}, got {got!r}")
    elif isinstance(want, dict) and isinstance(got, dict):
        for key in want.keys() | got.keys():
            _same_member(want, got, key, where, found)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for number, (a, b) in enumerate(zip(want, got, strict=True)):
            _same(a, b, f"{where}[{number}]", found)
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        found.append(f"{where}: want {want!r}, got {got!r}")


def _same_member(
    want: dict[str, Any], got: dict[str, Any], key: str, where: str, found: list[str]
) -> None:
    is_text = key in ("message", "error") and "error_code" in want
    if key not in want or key not in got:
        found.append(f"{where}.{key}: {'unexpected' if key in got else 'missing'}")
    elif is_text and want[key] is not None:
        if not isinstance(got[key], str) or not got[key]:
            found.append(f"{where}.{key}: want a text, got {got[key]!r}")
    else:
        _same(want[key], got[key], f"{where}.{key}", found)
