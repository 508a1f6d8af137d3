"""Settings that change what v2 serves."""

import json
import urllib.request

from tests.contract.test_deviations import error
from tests.stack import Proxy, Stack

ALLOWED = "api.v2.topics.*, api.v2.consumers.*,api.v2.produce-to-topic.json,api.v1.root.get"


def test_endpoints_that_are_not_allowed_are_not_there(stack: Stack) -> None:
    topic = stack.create_topic()
    settings = {
        "api.endpoints.allowlist": ALLOWED,
        "api.endpoints.blocklist": "api.v2.consumers.assign,api.v2.topics.get",
        "advertised.listeners": "https://secure.example,http://public.example:81/kafka",
    }
    with Proxy(stack, settings, workers=1) as proxy:
        assert topic in proxy.v2("GET", "/topics").json
        assert error(proxy.v2("GET", f"/topics/{topic}")) == (404, 404)
        assert error(proxy.v2("GET", "/brokers")) == (404, 404)
        assert error(proxy.get("/topics")) == (404, 404)
        body = {"records": [{"value": "MQ=="}]}
        assert proxy.v2("POST", f"/topics/{topic}", body, "json").status == 200
        assert error(proxy.v2("POST", f"/topics/{topic}", body, "binary")) == (405, 405)
        made = proxy.v2("POST", "/consumers/g", {"name": "c"})
        assert made.json["base_uri"] == "http://public.example:81/kafka/consumers/g/instances/c"
        places = {"partitions": [{"topic": topic, "partition": 0}]}
        path = "/consumers/g/instances/c"
        assert error(proxy.v2("POST", f"{path}/assignments", places)) == (405, 405)
        assert proxy.v2("POST", f"{path}/subscription", {"topics": [topic]}).status == 204
        assert proxy.request("OPTIONS", f"{path}/assignments").status == 200
        assert proxy.v2("DELETE", path).status == 204


def test_version_that_is_switched_off_is_not_there(stack: Stack) -> None:
    with Proxy(stack, {"api.v2.enable": "false"}, workers=1) as proxy:
        assert proxy.get("/").status == 200
        assert error(proxy.v2("GET", "/")) == (406, 406)
        assert error(proxy.v2("POST", "/consumers/g/instances/c/subscription", {})) == (404, 404)


def test_subjects_follow_the_name_strategies(stack: Stack) -> None:
    java = "io.confluent.kafka.serializers.subject"
    settings = {
        "schema.registry.key.subject.name.strategy": f"{java}.RecordNameStrategy",
        "schema.registry.value.subject.name.strategy": f"{java}.TopicRecordNameStrategy",
    }
    topic = stack.create_topic()
    name = f"R{topic.replace('-', '_')}"
    schemas = {
        "avro": json.dumps({"type": "record", "name": name, "namespace": "n", "fields": []}),
        "jsonschema": json.dumps({"title": f"n.{name}J", "type": "object", "properties": {}}),
        "protobuf": f'syntax = "proto3"; package n; message {name}P {{}}',
    }
    with Proxy(stack, settings, workers=1) as proxy:
        for fmt, text in schemas.items():
            record = {"key": {}, "value": {}}
            body = {"key_schema": text, "value_schema": text, "records": [record]}
            made = proxy.v2("POST", f"/topics/{topic}", body, fmt)
            assert made.status == 200, made
            again = {
                "key_schema_id": made.json["key_schema_id"],
                "value_schema_id": made.json["value_schema_id"],
                "records": [record],
            }
            assert proxy.v2("POST", f"/topics/{topic}", again, fmt).status == 200
        unnamed = {"value_schema": '"int"', "records": [{"value": 1}]}
        assert error(proxy.v2("POST", f"/topics/{topic}", unnamed, "avro")) == (422, 42205)
    with urllib.request.urlopen(f"{stack.registry}/subjects", timeout=20) as answer:
        subjects = set(json.loads(answer.read()))
    assert {f"n.{name}", f"{topic}-n.{name}", f"{topic}-n.{name}J", f"n.{name}P"} <= subjects
