"""Java's settings for TLS and SASL: what is translated, and what is refused with its cure."""

from pathlib import Path
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.kafka import config

MODULES = "client.sasl.jaas.config=org.apache.kafka.common.security."
PLAIN = MODULES + "plain.PlainLoginModule required"
SCRAM = MODULES + "scram.ScramLoginModule required"
TOKEN = MODULES + "oauthbearer.OAuthBearerLoginModule required"
KERBEROS = "client.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required"
ENDPOINT = "client.sasl.oauthbearer.token.endpoint.url=https://id.example.org/token"


def made(*overrides: str) -> dict[str, Any]:
    return config.admin_config(s.load(overrides=overrides))


def refused(*overrides: str) -> list[str]:
    """What a start with secured connections would say."""
    settings = s.load(overrides=["client.security.protocol=SASL_SSL", *overrides])
    return config.translation_mistakes(settings)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f'{PLAIN} username="a" password="p w;\\"";', {"sasl.password": 'p w;"'}),
        (f"{SCRAM} username='a' password='b';", {"sasl.username": "a", "sasl.password": "b"}),
        (f"{SCRAM} username=a password=b=;", {"sasl.username": "a", "sasl.password": "b="}),
        (
            f'{TOKEN} clientId="c" clientSecret="s" scope="x y" extension_logicalCluster="l";',
            {
                "sasl.oauthbearer.client.id": "c",
                "sasl.oauthbearer.client.secret": "s",
                "sasl.oauthbearer.scope": "x y",
                "sasl.oauthbearer.extensions": "logicalCluster=l",
            },
        ),
        (
            f'{TOKEN} unsecuredLoginStringClaim_sub="a" unsecuredLoginLifetimeSeconds="60";',
            {
                "enable.sasl.oauthbearer.unsecure.jwt": "true",
                "sasl.oauthbearer.config": "principal=a lifeSeconds=60",
            },
        ),
        (ENDPOINT, {"sasl.oauthbearer.method": "oidc"}),
        (
            "client.sasl.oauthbearer.client.credentials.client.secret=s",
            {"sasl.oauthbearer.client.secret": "s"},
        ),
        (
            "client.ssl.endpoint.identification.algorithm=HTTPS",
            {"ssl.endpoint.identification.algorithm": "https"},
        ),
    ],
)
def test_settings_of_java_are_translated(given: str, expected: dict[str, str]) -> None:
    found = made(given)
    assert {name: found.get(name) for name in expected} == expected
    assert refused(given) == []


def test_method_of_tokens_is_the_users_where_it_is_given() -> None:
    assert (
        made(ENDPOINT, "client.sasl.oauthbearer.method=default")["sasl.oauthbearer.method"]
        == "default"
    )


@pytest.mark.parametrize("name", ["OAuthBearerLoginCallbackHandler", "secured.X"])
def test_handler_of_tokens_is_the_librarys(name: str) -> None:
    given = f"client.sasl.login.callback.handler.class=org.apache.kafka.{name}"
    known = name.startswith("OAuth")
    assert (refused(given) == []) == known


def test_token_endpoint_may_have_a_trust_store_of_its_own(tmp_path: Path) -> None:
    store = tmp_path / "store"
    line = f'{TOKEN} clientId="c" ssl.truststore.location="{store}";'
    store.write_text("-----BEGIN CERTIFICATE-----")
    assert made(line)["https.ca.location"] == str(store)
    store.write_bytes(b"\xfe\xed\xfe\xed")
    (sentence,) = refused(line)
    assert sentence.startswith("sasl.jaas.config (ssl.truststore.location) cannot be used: ")
    assert "https.ca.location=ca.pem" in sentence


@pytest.mark.parametrize("line_by_line", [True, False])
def test_pem_in_a_setting_may_be_one_line(line_by_line: bool) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nAAAA\nBBBB\n-----END PRIVATE KEY-----\n"
    text = pem if line_by_line else pem.replace("\n", " ")
    for name, ours in {
        "ssl.truststore.certificates": "ssl.ca.pem",
        "ssl.keystore.certificate.chain": "ssl.certificate.pem",
        "ssl.keystore.key": "ssl.key.pem",
    }.items():
        assert made(f"client.{name}={text}")[ours].strip() == pem.strip()


def test_headers_of_an_encrypted_key_stay_lines() -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: A,B\n\nAAAA\n-----END RSA PRIVATE KEY-----"
    assert made(f"client.ssl.keystore.key={pem}")["ssl.key.pem"].strip() == pem


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"-----BEGIN CERTIFICATE-----", "", "PEM"),
        (b"subject=/CN=x\n-----BEGIN CERTIFICATE-----", "JKS", "PEM"),
        (b"0\x82\x01", "", "PKCS12"),
        (b"\xfe\xed\xfe\xed\0", "PEM", "JKS"),
        (None, "PEM", "PEM"),
        (None, "PKCS12", "PKCS12"),
        (None, "", "JKS"),
    ],
)
def test_store_is_what_its_file_says(
    tmp_path: Path, content: bytes | None, kind: str, expected: str
) -> None:
    store = tmp_path / "store"
    if content is not None:
        store.write_bytes(content)
    trust = [f"client.ssl.truststore.location={store}", f"client.ssl.truststore.type={kind}"]
    keys = [f"client.ssl.keystore.location={store}", f"client.ssl.keystore.type={kind}"]
    found = made(*trust, *keys)
    assert found.get("ssl.ca.location") == (str(store) if expected == "PEM" else None)
    assert found.get("ssl.certificate.location") == found.get("ssl.ca.location")
    assert found.get("ssl.key.location") == found.get("ssl.ca.location")
    assert found.get("ssl.keystore.location") == (str(store) if expected == "PKCS12" else None)
    assert [text.partition(" ")[0] for text in refused(*trust, *keys)] == {
        "PEM": [],
        "PKCS12": ["ssl.truststore.location"],
        "JKS": ["ssl.truststore.location", "ssl.keystore.location"],
    }[expected]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (f'{KERBEROS} password="hunter2";', "Krb5LoginModule"),
        ("client.sasl.jaas.config=hunter2", "required"),
        (f'{SCRAM} password="hunter2";', "username"),
        (f'{SCRAM} username="a" password="hunter2" tokenauth="true";', "tokenauth"),
        ("client.sasl.oauthbearer.token.endpoint.url=file:///hunter2", "client.id"),
        ("client.sasl.login.callback.handler.class=software.amazon.msk.IAM", "Java classes"),
        ("client.ssl.engine.factory.class=x.Y", "Java classes"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_without_secrets(given: str, named: str) -> None:
    key = given.partition("=")[0].removeprefix("client.")
    (sentence,) = refused(given)
    assert sentence.startswith(f"{key} cannot be used: ")
    assert named in sentence
    assert "hunter2" not in sentence


def test_without_secured_connections_it_is_a_warning() -> None:
    settings = s.load(overrides=["client.ssl.truststore.location=/no/such.jks"])
    assert config.translation_mistakes(settings) == []
    assert len(config.translation_warnings(settings)) == 1


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (["client.sasl.password=x", "producer.linger.ms=3"], True),
        (["client.sasl.password=x", "producer.sasl.password=y"], False),
        (["admin.ssl.ca.location=/ca.pem"], False),
    ],
)
def test_clients_may_be_others_to_kafka(given: list[str], same: bool) -> None:
    assert config.same_security(s.load(overrides=given)) == same


@pytest.mark.parametrize("given", ["security.protocol=SASL_SSL", "sasl.mechanism=PLAIN"])
def test_setting_without_a_prefix_is_not_for_all_clients(given: str) -> None:
    (warning,) = config.translation_warnings(s.load(overrides=[given]))
    assert f"set client.{given.partition('=')[0]}" in warning


@pytest.mark.parametrize("given", ["ssl.protocol=TLSv1.2", "sasl.login.refresh.window.factor=1"])
def test_what_the_library_decides_is_named(given: str) -> None:
    settings = s.load(overrides=["client.security.protocol=SASL_SSL", f"client.{given}"])
    (warning,) = config.translation_warnings(settings)
    assert given.partition("=")[0] in warning
