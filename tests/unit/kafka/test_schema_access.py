"""The schema registry's client out of settings: who the proxy is there, and what stops a start."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.kafka.schema_access import registry_client, registry_mistakes

CERTIFICATES = Path(__file__).parents[3] / "scripts/certificates"
HTTPS = "schema.registry.url=https://r:1"
INFO = "schema.registry.basic.auth.user.info"
SOURCE = "schema.registry.basic.auth.credentials.source"
TLS = "schema.registry.ssl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    subprocess.run([CERTIFICATES, made], check=True, timeout=60)
    (made / "none.pem").write_text("hunter2")
    (made / "store.jks").write_bytes(b"\xfe\xed\xfe\xed")
    return made


def settings(*overrides: str) -> s.Settings:
    return s.load(overrides=overrides)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([f"{SOURCE}=USER_INFO"], f"{INFO} is empty"),
        ([f"{SOURCE}=SASL_INHERIT"], "client.sasl.jaas.config"),
        ([f"{INFO}=hunter2"], f"{INFO} must be USER:PASSWORD"),
        ([f"{INFO}=me:hunter2", "schema.registry.bearer.auth.token=hunter2"], "take one away"),
        ([HTTPS, f"{TLS}.ca.location=/no/such"], f"{TLS}.ca.location=/no/such cannot be used: No"),
        ([HTTPS, f"{TLS}.ca.location=FOLDER/none.pem"], f"{TLS}.ca.location=FOLDER/none.pem"),
        ([HTTPS, f"{TLS}.truststore.location=FOLDER/none.pem"], f"{TLS}.ca.location=ca.pem"),
        ([HTTPS, f"{TLS}.truststore.location=FOLDER/store.jks"], f"{TLS}.ca.location=ca.pem"),
        ([HTTPS, f"{TLS}.keystore.location=FOLDER/store.jks"], "openssl pkcs12"),
        ([HTTPS, f"{TLS}.keystore.location=FOLDER/client.p12"], "openssl pkcs12"),
        ([HTTPS, f"{TLS}.certificate.location=FOLDER/client.crt"], "PEM is wanted"),
        (
            [
                HTTPS,
                f"{TLS}.certificate.location=FOLDER/client.crt",
                f"{TLS}.key.location=FOLDER/client.key",
                f"{TLS}.key.password=hunter2",
            ],
            f"{TLS}.certificate.location=FOLDER/client.crt cannot be used",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence_without_secrets(
    folder: Path, given: list[str], named: str
) -> None:
    (mistake,) = registry_mistakes(settings(*(g.replace("FOLDER", str(folder)) for g in given)))
    assert named.replace("FOLDER", str(folder)) in mistake
    assert "hunter2" not in mistake


def test_what_can_be_used_is_no_mistake(folder: Path) -> None:
    for given in (
        [],
        [f"{INFO}=me:pass:word"],
        [HTTPS, f"{TLS}.keystore.location={folder}/client.pem", f"{TLS}.ca.location={folder}"],
        [HTTPS, f"{TLS}.ca.location={folder}/ca.pem"],
        # Not looked at where no URL is https.
        [f"{TLS}.ca.location=/no/such"],
    ):
        found = settings(*given)
        assert registry_mistakes(found) == []
        registry_client(found).close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([f"{INFO}=me:pass:word"], ("me", "pass:word")),
        (
            [f"{SOURCE}=SASL_INHERIT", "client.sasl.username=u", "client.sasl.password=p"],
            ("u", "p"),
        ),
        (
            [
                f"{SOURCE}=SASL_INHERIT",
                'client.sasl.jaas.config=x.PlainLoginModule required username="u" password="p:";',
            ],
            ("u", "p:"),
        ),
        (["schema.registry.url=http://a%40b:c%2Fd@r:1"], ("a@b", "c/d")),
        (["schema.registry.url=http://own:1@r:1", f"{INFO}=me:2"], ("own", "1")),
        ([], None),
    ],
)
def test_user_is_the_one_that_the_settings_mean(given: list[str], expected: Any) -> None:
    found = settings(*given)
    assert registry_mistakes(found) == []
    client = registry_client(found)
    assert [place.auth for place in client.places] == [expected]
    assert "@" not in str([place.url for place in client.places])
    client.close()
