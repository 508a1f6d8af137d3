"""Secrets are planted wherever settings hold some, and looked for in all that the server says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.secure_kafka import SecureKafka
from tests.stack import Proxy, Stack

CLI = [sys.executable, "-m", "kafka_rest.server.cli"]
SECRET = "hunter2"
MODULE = "org.apache.kafka.common.security"
PLAIN = f'{MODULE}.plain.PlainLoginModule required username="me" password="{SECRET}";'
TOKEN = f'{MODULE}.oauthbearer.OAuthBearerLoginModule required clientId="me"'
IN_URL = f"http://me:{SECRET}@127.0.0.1:1"

USED = {
    "client.sasl.password": SECRET,
    "producer.sasl.jaas.config": PLAIN,
    "consumer.sasl.jaas.config": f'{TOKEN} clientSecret="{SECRET}";',
    "consumer.sasl.oauthbearer.token.endpoint.url": IN_URL,
    "client.sasl.oauthbearer.client.secret": SECRET,
    "client.ssl.keystore.password": SECRET,
    "client.ssl.truststore.password": SECRET,
    "schema.registry.url": IN_URL,
    "authentication.jwks": f"http://127.0.0.1:1/keys?key={SECRET}",
    "schema.registry.basic.auth.user.info": f"me:{SECRET}",
    "schema.registry.ssl.key.password": SECRET,
    "schema.registry.ssl.keystore.password": SECRET,
    "ssl.keystore.password": SECRET,
    "ssl.key.password": SECRET,
    "ssl.truststore.password": SECRET,
    "client.no.such.password": SECRET,
    "schema.registry.no.such.secret": SECRET,
    "basic.auth.pasword": SECRET,
}
# Each stops a start.
WRONG = {
    "client.ssl.key.pem": SECRET,
    "client.ssl.key.password": SECRET,
    "client.ssl.keystore.key": f"-----BEGIN PRIVATE KEY----- {SECRET} -----END PRIVATE KEY-----",
    "client.ssl.keystore.location": f"{__file__}",
    "client.sasl.jaas.config": SECRET,
    "client.sasl.mechanism": "NONE",
    "producer.sasl.jaas.config": f'x.Krb5LoginModule required password="{SECRET}";',
    "client.sasl.oauthbearer.token.endpoint.url": f"file://me:{SECRET}@host/token",
    "schema.registry.url": f"ftp://me:{SECRET}@127.0.0.1:1",
    "schema.registry.basic.auth.user.info": SECRET,
    "authentication.jwks": f"ftp://127.0.0.1/keys?key={SECRET}",
    "port": "no",
}


def properties(folder: Path, settings: dict[str, str]) -> str:
    path = folder / "kafka-rest.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return str(path)


def said(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*CLI, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("debug", [False, True])
def test_server_says_no_secret(stack: Stack, debug: bool) -> None:
    topic = stack.create_topic()
    verbose = {"client.debug": "all", "debug": "true"} if debug else {}
    with Proxy(stack, USED | verbose, workers=1) as proxy:
        body = {"value_schema": '"int"', "records": [{"value": 1}]}
        answers = [
            proxy.v2("POST", f"/topics/{topic}", body, "avro"),
            proxy.v2("POST", f"/topics/{topic}", {"records": [{"value": 1}]}, "json"),
            proxy.get("/topics/no-such-topic"),
            proxy.get(f"/topics/{topic}/partitions/0/messages"),
        ]
        consumer = proxy.create_consumer()
        answers.append(proxy.get(f"{consumer}/topics/{topic}"))
        log = proxy.log()
    assert [answers[0].status, answers[1].status] == [422, 200]
    assert ("SASL" in log) >= debug, "what librdkafka says has been looked through"
    assert SECRET not in log + str(answers)


@pytest.mark.parametrize("command", ["settings", "check-config"])
def test_command_line_says_no_secret(tmp_path: Path, command: str) -> None:
    done = said(command, properties(tmp_path, USED))
    assert done.returncode == 0, done
    assert SECRET not in done.stdout + done.stderr
    assert "no.such" in done.stdout


@pytest.mark.parametrize("key", WRONG)
@pytest.mark.parametrize("command", ["start", "check-config"])
def test_start_that_is_refused_says_no_secret(tmp_path: Path, command: str, key: str) -> None:
    secured = {"client.security.protocol": "SASL_SSL", "client.sasl.mechanism": "PLAIN"}
    settings = {"client.ssl.key.password": SECRET, **secured, key: WRONG[key]}
    if key == "client.ssl.key.password":
        settings["client.ssl.key.pem"] = "-----BEGIN PRIVATE KEY-----"
    done = said(command, properties(tmp_path, settings))
    assert done.returncode != 0, done
    assert SECRET not in done.stdout + done.stderr
    assert len(done.stdout + done.stderr) > 20


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_handshake_says_no_secret(secure: SecureKafka, mechanism: str) -> None:
    settings = secure.settings(secure.user("alice", mechanism)) | {"client.debug": "all"}
    with Proxy(Stack(secure.sasl_ssl, ""), settings, workers=1) as proxy:
        assert proxy.get("/brokers").status == 200
        log = proxy.log()
    assert "SASL" in log
    assert "alice-secret" not in log
