"""PEM files for HTTPS: what can be used, what a bad one says, and the name of a client."""

import ssl
import threading
from pathlib import Path

import pytest

from kafka_rest import settings as s
from kafka_rest.security.authority import Authority as State
from kafka_rest.security.certificates import server_context, subject_of
from kafka_rest.security.files import BadFile
from kafka_rest.server.gate import Gate
from kafka_rest.server.peers import Peers
from kafka_rest.settings import Cluster, documents
from tests.certificates import Authority, shake_hands

OURS = Authority()
CERTIFICATE, KEY = OURS.issue(CN="localhost")


def https(folder: Path, keystore: str = "", *more: str) -> s.Settings:
    (folder / "server.pem").write_text(keystore or CERTIFICATE + KEY)
    (folder / "ca.pem").write_text(OURS.pem)
    given = ["listeners=https://h:1", f"ssl.keystore.location={folder}/server.pem"]
    return s.load(None, {}, [*given, *more])


def mistake(settings: s.Settings) -> str:
    with pytest.raises(BadFile) as failed:
        server_context(settings)
    return str(failed.value)


def lines_to(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_nothing_is_read_without_an_https_listener() -> None:
    assert server_context(s.load(None, {}, ["ssl.keystore.location=/none"])) is None


def test_clients_are_asked_as_the_setting_says(tmp_path: Path) -> None:
    trust = f"ssl.truststore.location={tmp_path}/ca.pem"
    modes = {
        "ssl.client.authentication=NONE": ssl.CERT_NONE,
        "ssl.client.authentication=REQUESTED": ssl.CERT_OPTIONAL,
        "ssl.client.authentication=REQUIRED": ssl.CERT_REQUIRED,
        "ssl.client.auth=true": ssl.CERT_REQUIRED,
    }
    for given, mode in modes.items():
        context = server_context(https(tmp_path, "", trust, given))
        assert context is not None
        assert context.verify_mode == mode
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_mark_of_an_editor_before_the_first_line_is_no_mistake(tmp_path: Path) -> None:
    assert server_context(https(tmp_path, f"\ufeff{CERTIFICATE}{OURS.pem}{KEY}"))


def test_encrypted_key_is_read_with_its_password(tmp_path: Path) -> None:
    certificate, key = OURS.issue(b"planted", CN="localhost")
    for name in ("ssl.key.password", "ssl.keystore.password"):
        assert server_context(https(tmp_path, certificate + key, f"{name}=planted"))
    for more in ((), ("ssl.key.password=planted-wrong",)):
        said = mistake(https(tmp_path, certificate + key, *more))
        assert said == (
            f"{tmp_path}/server.pem line {lines_to(certificate + key, '-----BEGIN ENC')}: the "
            "private key cannot be read; if it is encrypted, set ssl.key.password"
        )


def test_password_of_a_key_is_shown_nowhere(tmp_path: Path) -> None:
    given = ("ssl.key.password=planted", "ssl.keystore.password=planted")
    certificate, key = OURS.issue(b"another", CN="localhost")
    settings = https(tmp_path, certificate + key, *given)
    assert "planted" not in documents.listing(settings) + repr(settings) + mistake(settings)


BROKEN = CERTIFICATE.splitlines()
BAD = [
    ("nothing", "server.pem: has no certificate; set ssl.keystore.location to a PEM file"),
    (KEY, "server.pem: has no certificate"),
    (CERTIFICATE, "server.pem: has 0 private keys; append the one of its certificate"),
    (CERTIFICATE + KEY + KEY, "server.pem: has 2 private keys"),
    (
        KEY + CERTIFICATE.replace("-----END", "-----X"),
        f"line {KEY.count(chr(10)) + 1}: CERTIFICATE",
    ),
    ("\n".join([*BROKEN[:3], "!" + BROKEN[3], *BROKEN[4:]]) + "\n" + KEY, "line 4: is no base64"),
    ("\n".join([BROKEN[0], *BROKEN[2:]]) + "\n" + KEY, "line 1: the certificate is damaged"),
    ("-----END CERTIFICATE-----\n" + CERTIFICATE, "line 1: the end of a CERTIFICATE that does"),
    (KEY.replace("PRIVATE", "X"), "has no certificate"),
    (OURS.pem + CERTIFICATE + KEY, "is not the key of the first certificate; put the server's"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_bad_keystore_is_named_with_line_and_cure(tmp_path: Path, text: str, said: str) -> None:
    found = mistake(https(tmp_path, text))
    assert found.startswith(f"{tmp_path}/server.pem")
    assert said in found


@pytest.mark.parametrize("begin", ["feedfeed00000002", "3082098f020103308209"])
def test_store_of_java_is_named_with_how_to_convert_it(tmp_path: Path, begin: str) -> None:
    (tmp_path / "store").write_bytes(bytes.fromhex(begin))
    trust = (f"ssl.truststore.location={tmp_path}/store", "ssl.client.authentication=REQUIRED")
    for more in ((f"ssl.keystore.location={tmp_path}/store",), trust):
        said = mistake(https(tmp_path, "", *more))
        assert said.startswith(f"{tmp_path}/store: is no PEM but a binary file; make one of PKCS12")
        assert "openssl pkcs12 -in FILE -out FILE.pem" in said
        assert "keytool -importkeystore" in said
        assert "UTF-8" not in said


def test_bad_truststore_is_named(tmp_path: Path) -> None:
    trust = f"ssl.truststore.location={tmp_path}/none.pem"
    said = mistake(https(tmp_path, "", trust, "ssl.client.authentication=REQUIRED"))
    assert said.startswith(f"{tmp_path}/none.pem: cannot be read (No such file")


def test_authority_in_the_truststore_suffices_without_its_own_issuer(tmp_path: Path) -> None:
    root = Authority("root")
    middle = Authority("middle", root)
    trust = f"ssl.truststore.location={tmp_path}/middle.pem"
    (tmp_path / "middle.pem").write_text(middle.pem)
    server = server_context(https(tmp_path, "", trust, "ssl.client.authentication=REQUIRED"))
    assert server is not None

    def client(*parts: str) -> ssl.SSLContext:
        (tmp_path / "client.pem").write_text("".join(parts))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=OURS.pem)
        context.load_cert_chain(tmp_path / "client.pem")
        return context

    certificate, key = middle.issue(CN="ann")
    for chain in ("", middle.pem, middle.pem + root.pem):
        found = shake_hands(server, client(certificate, chain, key)).getpeercert()
        assert subject_of(found) == "CN=ann"
    for other in (root, OURS):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server, client(*other.issue(CN="ann")))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (["listeners=https://h:1"], "ssl.keystore.location"),
        (["ssl.client.authentication=REQUIRED"], "ssl.client.authentication"),
        (["ssl.client.auth=true"], "ssl.client.authentication"),
        (
            [
                "listeners=https://h:1",
                "ssl.keystore.location=x",
                "ssl.client.authentication=REQUESTED",
            ],
            "ssl.truststore.location",
        ),
        (
            [
                "listeners=https://h:1",
                "ssl.keystore.location=x",
                "server.worker.class=gthread",
            ],
            "server.worker.class",
        ),
        (["ssl.keystore.type=JKS"], "ssl.keystore.type"),
    ],
)
def test_settings_that_do_not_go_together_are_named(given: list[str], key: str) -> None:
    with pytest.raises(s.SettingsError) as failed:
        s.load(None, {}, given)
    assert [mistake.key for mistake in failed.value.mistakes] == [key]


def test_workers_own_port_is_like_the_first_listener() -> None:
    given = ["ssl.keystore.location=x", "consumer.pinning.listeners=true"]
    plain = s.load(None, {}, [*given, "listeners=http://h:10,https://h:20"])
    first = s.load(None, {}, [*given, "listeners=https://h:20,http://h:10"])
    assert s.tls_ports(plain) == {20}
    assert s.tls_ports(first) == {20, 21, 22}


def test_client_is_its_subject() -> None:
    parts = (
        (("countryName", "DE"),),
        (("organizationName", "Acme, Inc"),),
        (("commonName", "ann"), ("emailAddress", "a@b")),
    )
    assert subject_of({"subject": parts}) == r"CN=ann+emailAddress=a@b,O=Acme\, Inc,C=DE"
    assert subject_of({}) is None
    assert subject_of(None) is None


def test_certificate_is_enough_where_clients_show_one(tmp_path: Path) -> None:
    trust = f"ssl.truststore.location={tmp_path}/ca.pem"
    wanted = {
        "REQUIRED": "401 Not authenticated: a client certificate is needed.",
        "REQUESTED": "ANONYMOUS",
    }
    for mode, without in wanted.items():
        settings = https(tmp_path, "", trust, f"ssl.client.authentication={mode}")
        gate = Gate(
            lambda environ, _: [environ["kafka_rest.principal"].encode()],
            State(settings),
            settings,
            Peers(Cluster((), 0, ""), 1, threading.Event()),
        )
        assert ask(gate, {"subject": ((("commonName", "ann"),),)}) == "CN=ann"
        assert ask(gate, None) == without


class Connection:
    family = 2

    def __init__(self, certificate: object) -> None:
        self._certificate = certificate

    def getpeercert(self) -> object:
        return self._certificate


def ask(gate: Gate, certificate: object) -> str:
    """Who gets through, or the status and message of a refusal."""
    status: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/", "gunicorn.socket": Connection(certificate)}
    body = b"".join(gate(environ, lambda line, _headers: status.append(line[:3])))  # type: ignore[arg-type,func-returns-value]
    said = body.decode()
    return f"{status[0]} {said.partition('message')[2][3:-2]}" if status else said
