"""Security towards Kafka, on a real one with TLS, users and rights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from kafka_rest import errors
from kafka_rest import settings as s
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.records import Deadline
from tests.secure_kafka import SecureKafka
from tests.stack import Proxy, Reply, Stack, wait_for
from tests.token_endpoint import CLIENT, SECRET, token_endpoint

WRONG = "hunter2"
MODULE = "org.apache.kafka.common.security"


@contextmanager
def proxy_of(secure: SecureKafka, settings: dict[str, str]) -> Iterator[Proxy]:
    """A proxy with these settings and one worker."""
    # How long the first look-up of a proxy waits that does not know yet that it is refused.
    settings = {"metadata.timeout.ms": "2000", **settings}
    with Proxy(Stack(secure.sasl_ssl, ""), settings, workers=1) as running:
        yield running


def java(secure: SecureKafka, **more: str) -> dict[str, str]:
    """What the properties file of a Java client has, one with a trust store."""
    return {
        "bootstrap.servers": f"SASL_SSL://{secure.sasl_ssl}",
        "client.ssl.truststore.type": "PEM",
        "client.ssl.truststore.location": str(secure.folder / "ca.pem"),
        **{f"client.{name.replace('_', '.')}": value for name, value in more.items()},
    }


def tls(secure: SecureKafka, **more: str) -> dict[str, str]:
    """The settings for the listener that asks for certificates."""
    names = {name.replace("_", "."): value for name, value in more.items()}
    config = {"bootstrap.servers": secure.ssl, "security.protocol": "SSL", **secure.trust}
    return secure.settings(config | names)


def login(module: str, user: str, password: str) -> str:
    """A JAAS line."""
    return f'{MODULE}.{module} required username="{user}" password="{password}";'


def works(proxy: Proxy, topic: str) -> None:
    """Produce, read, commit and look up."""
    assert topic in proxy.get("/topics").json
    made = proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}]}, "json")
    assert made.status == 200, made
    assert made.json["offsets"][0]["error_code"] is None, made
    consumer = proxy.create_v2(format="json")
    subscribed = proxy.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
    assert subscribed.status == 204, subscribed
    assert [r["value"] for r in proxy.read_all(consumer, 1, "json")] == [1]
    assert proxy.v2("POST", f"{consumer}/offsets").status == 200
    assert proxy.v2("DELETE", consumer).status == 204


@pytest.mark.parametrize(
    "kind", ["SCRAM-SHA-256", "SCRAM-SHA-512", "java PLAIN", "java SCRAM", "certificate", "store"]
)
def test_everything_works_over_secured_connections(secure: SecureKafka, kind: str) -> None:
    folder = secure.folder
    mechanism = {"java PLAIN": "PLAIN", "java SCRAM": "SCRAM-SHA-512"}.get(kind, kind)
    module = "plain.PlainLoginModule" if "PLAIN" in kind else "scram.ScramLoginModule"
    settings = {
        "java": lambda: java(
            secure,
            sasl_mechanism=mechanism,
            sasl_jaas_config=login(module, "alice", "alice-secret"),
        ),
        "certificate": lambda: tls(
            secure,
            ssl_certificate_location=str(folder / "client.crt"),
            ssl_key_location=str(folder / "client.key"),
            ssl_key_password="key-secret",
        ),
        "store": lambda: tls(
            secure,
            ssl_keystore_location=str(folder / "client.p12"),
            ssl_keystore_password="store-secret",
        ),
    }.get(kind.partition(" ")[0], lambda: secure.settings(secure.user("alice", mechanism)))
    topic = secure.stack().create_topic()
    with proxy_of(secure, settings()) as proxy:
        works(proxy, topic)


def tokens(secure: SecureKafka, endpoint: str, secret: str) -> dict[str, str]:
    """Settings for tokens of an endpoint, as a Java client has them."""
    handler = f"{MODULE}.oauthbearer.secured.OAuthBearerLoginCallbackHandler"
    line = f'{MODULE}.oauthbearer.OAuthBearerLoginModule required clientId="{CLIENT}"'
    if endpoint.startswith("https"):
        line += f' ssl.truststore.location="{secure.folder / "ca.pem"}"'
    return java(
        secure,
        sasl_mechanism="OAUTHBEARER",
        sasl_jaas_config=f'{line} clientSecret="{secret}";',
        sasl_oauthbearer_token_endpoint_url=endpoint,
        sasl_login_callback_handler_class=handler,
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_everything_works_with_tokens(secure: SecureKafka, scheme: str) -> None:
    topic = secure.stack().create_topic()
    certificate = secure.folder / "server.pem" if scheme == "https" else None
    with (
        token_endpoint(certificate) as endpoint,
        proxy_of(secure, tokens(secure, endpoint, SECRET)) as proxy,
    ):
        works(proxy, topic)


def refused_everywhere(proxy: Proxy, topic: str, reason: str) -> None:
    """Every answer says that Kafka and the proxy do not accept each other, and why."""
    replies: list[Reply] = [
        proxy.get(path, "application/vnd.kafka.v2+json")
        for path in ("/topics", f"/topics/{topic}", "/brokers")
    ]
    made = proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}] * 2}, "json")
    assert made.status == 401
    assert [entry["error_code"] for entry in made.json["offsets"]] == [40101] * 2
    consumer = proxy.create_v2(format="json")
    proxy.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
    replies += [proxy.v2("GET", f"{consumer}/records", fmt="json") for _ in range(2)]
    for reply in replies:
        assert (reply.status, reply.json["error_code"]) == (401, 40101), reply
        assert reason in reply.json["message"]
    assert reason in made.json["offsets"][0]["error"]
    said = proxy.log() + str([*replies, made])
    assert "no connection to Kafka" in said
    assert WRONG not in said


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_wrong_password_is_named(secure: SecureKafka, mechanism: str) -> None:
    topic = secure.stack().create_topic()
    settings = secure.settings(secure.user("alice", mechanism) | {"sasl.password": WRONG})
    with proxy_of(secure, settings) as proxy:
        refused_everywhere(proxy, topic, "SASL authentication error")


def test_certificate_that_is_not_trusted_is_named(secure: SecureKafka) -> None:
    topic = secure.stack().create_topic()
    stranger = {"ssl.ca.location": str(secure.folder / "stranger.pem")}
    with proxy_of(secure, secure.settings(secure.user("alice") | stranger)) as proxy:
        refused_everywhere(proxy, topic, "certificate verify failed")


def test_missing_certificate_is_named(secure: SecureKafka) -> None:
    topic = secure.stack().create_topic()
    with proxy_of(secure, tls(secure)) as proxy:
        refused_everywhere(proxy, topic, "alert")


def test_refused_token_is_named(secure: SecureKafka) -> None:
    topic = secure.stack().create_topic()
    with token_endpoint() as endpoint:
        with_user = endpoint.replace("//", f"//me:{WRONG}@")
        with proxy_of(secure, tokens(secure, with_user, WRONG)) as proxy:
            refused_everywhere(proxy, topic, "invalid_client")


def test_refusal_is_known_without_asking_and_over_when_kafka_answers(secure: SecureKafka) -> None:
    given = secure.settings(secure.user("carol") | {"sasl.password": "carol-secret"})
    clients = ClientRegistry(s.load(overrides=[f"{key}={value}" for key, value in given.items()]))
    try:
        assert clients.refusal() is None
        clients.open()
        reason = wait_for(clients.refusal)
        assert "invalid credentials" in reason
        assert "carol-secret" not in reason
        secure.make_user("carol")
        wait_for(lambda: looked_up(clients) and clients.refusal() is None)
    finally:
        clients.close(Deadline(5))


def looked_up(clients: ClientRegistry) -> bool:
    """Whether Kafka tells of its topics."""
    try:
        return clients.metadata.topics(Deadline(1)) is not None
    except errors.RestError:
        return False


@pytest.fixture(scope="module")
def bob(secure: SecureKafka) -> Iterator[Proxy]:
    """A proxy that is bob to Kafka."""
    with proxy_of(secure, secure.settings(secure.user("bob"))) as proxy:
        yield proxy


def code(reply: Reply) -> tuple[int, Any]:
    """Status and error code."""
    return reply.status, reply.json.get("error_code") if isinstance(reply.json, dict) else None


def allowed(proxy: Proxy, topic: str, version: str) -> Reply:
    """Look the partitions of a topic up."""
    return proxy.get(f"/topics/{topic}/partitions", f"application/vnd.kafka.{version}+json")


def test_denied_look_up_is_403_until_it_is_allowed(secure: SecureKafka, bob: Proxy) -> None:
    topic = secure.stack().create_topic()
    secure.deny(ResourceType.TOPIC, topic, AclOperation.DESCRIBE, "bob")
    wait_for(lambda: code(allowed(bob, topic, "v2")) == (403, 40301))
    assert code(allowed(bob, topic, "v1")) == (403, 40301)
    assert topic not in bob.get("/topics").json
    assert code(bob.produce(topic, [{"value": "YQ=="}])) == (403, 40301)
    made = bob.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}] * 3}, "json")
    assert (made.status, [e["error_code"] for e in made.json["offsets"]]) == (403, [40301] * 3)
    simple = f"/topics/{topic}/partitions/0/messages?offset=0"
    assert code(bob.get(simple, "application/vnd.kafka.binary.v1+json")) == (403, 40301)
    secure.allow_again(ResourceType.TOPIC, topic)
    wait_for(lambda: allowed(bob, topic, "v2").status == 200)
    works(bob, topic)


def test_denied_records_are_403_until_they_are_allowed(secure: SecureKafka, bob: Proxy) -> None:
    topic = secure.stack().create_topic()
    records = {"records": [{"value": 1}] * 2}
    secure.deny(ResourceType.TOPIC, topic, AclOperation.WRITE, "bob")

    def made() -> Reply:
        return bob.v2("POST", f"/topics/{topic}", records, "json")

    wait_for(lambda: made().status == 403)
    assert [entry["error_code"] for entry in made().json["offsets"]] == [40301] * 2
    plain = bob.produce(topic, [{"value": "YQ=="}])
    assert (plain.status, plain.json["offsets"][0]["error_code"]) == (200, 50002)
    secure.allow_again(ResourceType.TOPIC, topic)
    wait_for(lambda: made().status == 200)


def test_denied_read_is_403_until_it_is_allowed(secure: SecureKafka, bob: Proxy) -> None:
    topic = secure.stack().create_topic()
    secure.stack().produce(topic, [(0, None, b"1")])
    secure.deny(ResourceType.TOPIC, topic, AclOperation.READ, "bob")
    consumer = bob.create_v2(format="json")
    place = {"partitions": [{"topic": topic, "partition": 0}]}
    assert bob.v2("POST", f"{consumer}/assignments", place).status == 204

    def read() -> Reply:
        return bob.v2("GET", f"{consumer}/records", fmt="json")

    wait_for(lambda: code(read()) == (403, 40301))
    assert code(read()) == (403, 40301), "not the first read alone"
    simple = f"/topics/{topic}/partitions/0/messages?offset=0"
    assert code(bob.get(simple, "application/vnd.kafka.json.v1+json")) == (403, 40301)
    secure.allow_again(ResourceType.TOPIC, topic)
    found = wait_for(lambda: (r := read()).status == 200 and r.json)
    assert [record["value"] for record in found] == [1]


def test_denied_group_is_403_until_it_is_allowed(secure: SecureKafka, bob: Proxy) -> None:
    topic, group = secure.stack().create_topic(), secure.fresh("g")
    secure.stack().produce(topic, [(0, None, b"1")])
    secure.deny(ResourceType.GROUP, group, AclOperation.READ, "bob")
    consumer = bob.create_v2(group, format="json")
    by_hand = bob.create_v2(group, format="json")
    assert bob.v2("POST", f"{consumer}/subscription", {"topics": [topic]}).status == 204
    place = {"topic": topic, "partition": 0}
    assert bob.v2("POST", f"{by_hand}/assignments", {"partitions": [place]}).status == 204

    def read() -> Reply:
        return bob.v2("GET", f"{consumer}/records", fmt="json")

    for _ in range(2):
        assert code(read()) == (403, 40301)
    offsets = {"offsets": [{**place, "offset": 0}]}
    assert code(bob.v2("POST", f"{by_hand}/offsets", offsets)) == (403, 40301)
    old = bob.create_consumer(group)
    assert code(bob.get(f"{old}/topics/{topic}", "application/vnd.kafka.binary.v1+json")) == (
        403,
        40301,
    )
    assert bob.request("DELETE", old).status == 204
    secure.allow_again(ResourceType.GROUP, group)
    found = wait_for(lambda: (r := read()).status == 200 and r.json)
    assert [record["value"] for record in found] == [1]
    assert bob.v2("POST", f"{consumer}/offsets").status == 200
