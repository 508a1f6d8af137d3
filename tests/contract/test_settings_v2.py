"""Settings that change what v2 serves."""

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
