"""Security towards the schema registry: who the proxy is there, and whom it trusts."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.secure_registry import PASSWORD, READER, TOKEN, USER, secure_registry
from tests.stack import Proxy, Stack

ROOT = Path(__file__).parent.parent.parent
SCHEMA = '"int"'
PREFIX = "schema.registry."


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([ROOT / "scripts/certificates", folder], check=True, timeout=60)
    return folder


@pytest.fixture
def topic(stack: Stack) -> str:
    """A fresh topic."""
    return stack.create_topic()


@pytest.fixture(scope="module")
def guarded(certificates: Path) -> Iterator[str]:
    """A registry with TLS and passwords."""
    with secure_registry(certificates) as url:
        yield url


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """A registry with passwords alone."""
    with secure_registry(None) as url:
        yield url


def with_user(url: str, user: str = USER, password: str = PASSWORD) -> str:
    """The URL with credentials in it."""
    return url.replace("//", f"//{user}:{quote(password, safe='')}@")


def produced(stack: Stack, topic: str, url: str, settings: dict[str, str]) -> str:
    """Write and read a record by a schema; what went wrong, or nothing."""
    named = {f"{PREFIX}{key}": value for key, value in settings.items()}
    with Proxy(Stack(stack.bootstrap, url, stack.broker), named, workers=1) as proxy:
        body = {"value_schema": SCHEMA, "records": [{"value": 1}]}
        made = proxy.v2("POST", f"/topics/{topic}", body, "avro")
        old = proxy.produce(topic, [{"value": 1}], "avro", value_schema=SCHEMA)
        said = proxy.log() + str(made) + str(old)
        for secret in (PASSWORD, quote(PASSWORD, safe=""), TOKEN, "key-secret", "hunter2"):
            assert secret not in said
        if made.status != 200:
            assert (old.status, old.json["error_code"]) == (408, 40801)
            return f"{made.status} {made.json['error_code']} {made.json['message']}"
        consumer = proxy.create_v2(format="avro")
        proxy.v2("POST", f"{consumer}/subscription", {"topics": [topic]})
        assert [r["value"] for r in proxy.read_all(consumer, 2, "avro")] == [1, 1]
        return ""


@pytest.mark.parametrize("way", ["user.info", "url", "USER_INFO", "token"])
def test_credentials_are_taken_from_where_they_are_set(
    stack: Stack, topic: str, guarded: str, certificates: Path, way: str
) -> None:
    settings = {"ssl.ca.location": str(certificates / "ca.pem")}
    url = guarded
    if way == "url":
        url = with_user(guarded)
    elif way == "token":
        settings["bearer.auth.token"] = TOKEN
    else:
        settings["basic.auth.user.info"] = f"{USER}:{PASSWORD}"
        settings["basic.auth.credentials.source"] = "USER_INFO" if way == "USER_INFO" else "URL"
    assert produced(stack, topic, url, settings) == ""


@pytest.mark.parametrize("store", ["keystore", "key and certificate"])
def test_proxy_shows_its_certificate(
    stack: Stack, topic: str, certificates: Path, store: str
) -> None:
    trust = {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(certificates / "ca.pem")}
    if store == "keystore":
        keys = {"ssl.keystore.location": str(certificates / "client.pem")}
    else:
        keys = {
            "ssl.certificate.location": str(certificates / "client.crt"),
            "ssl.key.location": str(certificates / "client.key"),
            "ssl.key.password": "key-secret",
        }
    with secure_registry(certificates, client_certificates=True) as url:
        assert produced(stack, topic, with_user(url), trust | keys) == ""
        refused = produced(stack, topic, with_user(url), trust)
    assert refused.startswith("422 42207 ")
    assert "certificate" in refused.partition("unreachable")[2]


def test_registry_that_is_not_trusted_is_named(
    stack: Stack, topic: str, guarded: str, certificates: Path
) -> None:
    stranger = {"ssl.ca.location": str(certificates / "stranger.pem")}
    for settings in (stranger, {}):
        refused = produced(stack, topic, with_user(guarded), settings)
        assert refused.startswith("422 42207 ")
        assert "TLS handshake failed: self-signed certificate" in refused


def test_name_in_the_certificate_is_checked_unless_told_not_to(
    stack: Stack, topic: str, certificates: Path
) -> None:
    # The certificate is of 127.0.0.1, not of the address next to it, which is this machine too.
    with secure_registry(certificates, host="127.0.0.2") as other:
        url = with_user(other)
        settings = {"ssl.ca.location": str(certificates / "ca.pem")}
        refused = produced(stack, topic, url, settings)
        assert "TLS handshake failed: " in refused
        unchecked = settings | {"ssl.endpoint.identification.algorithm": ""}
        assert produced(stack, topic, url, unchecked) == ""


def test_registry_refuses_the_proxys_credentials(stack: Stack, topic: str, plain: str) -> None:
    refused = produced(stack, topic, with_user(plain, password="hunter2"), {})
    assert refused.startswith("401 40101 ")
    assert "the schema registry refused the proxy's credentials (401)" in refused
    forbidden = produced(stack, topic, with_user(plain, user=READER), {})
    assert forbidden.startswith("403 40301 ")
    assert "the schema registry refused the proxy's right" in forbidden
