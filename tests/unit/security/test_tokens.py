"""Bearer tokens: which are taken, what a refusal says, and keys from a file or a URL."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from kafka_rest import settings as s
from kafka_rest.errors import NotAuthenticated, ServiceUnavailable
from kafka_rest.security import tokens as module
from kafka_rest.security.authority import Authority
from kafka_rest.security.files import BadFile
from kafka_rest.security.remote_keys import AGAIN_SECONDS, RemoteKeys
from kafka_rest.security.tokens import Claims, Client, Tokens
from tests.tokens import Issuer, jwks
from tests.unit.fakes import FakeClock

OURS, RSA, EVIL = Issuer("k1"), Issuer("k2", "RS256"), Issuer("k1")
CLAIMS = Claims(("RS256", "ES256"), ("kafka",), "https://id", "sub", 10.0)
NOW = int(time.time())
GOOD: dict[str, Any] = {"sub": "ann", "aud": "kafka", "iss": "https://id", "exp": NOW + 600}


def tokens(claims: Claims = CLAIMS, text: str | None = None) -> Tokens:
    return Tokens(text or jwks(OURS, RSA), "keys.json", claims)


def refusal(token: str, claims: Claims = CLAIMS) -> str:
    with pytest.raises(NotAuthenticated) as failed:
        tokens(claims).client(token)
    assert token not in failed.value.text or not token
    return failed.value.text.removeprefix("Not authenticated: the token is refused: ")


@pytest.mark.parametrize("issuer", [OURS, RSA])
def test_good_token_says_who_and_until_when(issuer: Issuer) -> None:
    for _ in range(2):
        assert tokens().client(issuer.token(**GOOD)) == Client("ann", NOW + 610.0)


def test_claim_that_names_the_client_is_a_setting() -> None:
    token = OURS.token(**GOOD, email="ann@acme")
    assert tokens(CLAIMS._replace(principal="email")).client(token).principal == "ann@acme"


def test_without_audience_and_issuer_these_are_not_looked_at() -> None:
    open_to_all = CLAIMS._replace(audiences=(), issuer="")
    token = OURS.token(sub="ann", aud="other", iss="other", exp=NOW + 600)
    assert tokens(open_to_all).client(token).principal == "ann"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exp": NOW - 11}, "it has expired."),
        ({"exp": None}, "it lacks a claim that is needed."),
        ({"nbf": NOW + 3600}, "its time has not come yet."),
        ({"aud": "other"}, "it is for another audience."),
        ({"aud": None}, "it lacks a claim that is needed."),
        ({"iss": "https://other"}, "it is of another issuer."),
        ({"sub": None}, "its claim sub names nobody."),
        ({"sub": ""}, "its claim sub names nobody."),
        ({"sub": "x" * 257}, "its claim sub names nobody."),
        ({"sub": "a\nb"}, "its claim sub is no name."),
    ],
)
def test_claim_that_is_not_as_wanted_is_named(changed: dict[str, Any], said: str) -> None:
    claims = {n: v for n, v in {**GOOD, **changed}.items() if v is not None}
    assert refusal(OURS.token(**claims)) == said


@pytest.mark.parametrize("changed", [{"exp": NOW - 5}, {"nbf": NOW + 5}])
def test_clocks_may_be_apart_by_the_leeway(changed: dict[str, Any]) -> None:
    claims = CLAIMS._replace(leeway_seconds=300.0)
    assert tokens(claims).client(OURS.token(**{**GOOD, **changed})).principal == "ann"


def unsigned(**header: Any) -> str:
    parts = [json.dumps(part).encode() for part in (header, GOOD)]
    return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts) + "."


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (EVIL.token(**GOOD), "its signature is wrong."),
        (OURS.token(**GOOD)[:-4] + "AAAA", "its signature is wrong."),
        (OURS.token({"kid": "k9"}, **GOOD), "no key is known for it."),
        # With two keys a token has to say which, unless its algorithm does.
        (OURS.token({"kid": "k2"}, **GOOD), "it is no token that can be read."),
        (unsigned(alg="none", kid="k1"), "no key is known for it."),
        (jwt.encode(GOOD, "x" * 64, "HS256", {"kid": "k1"}), "no key is known for it."),
        ("", "it is no token that can be read."),
        ("a.b.c", "it is no token that can be read."),
        ("ü", "it is no token that can be read."),
    ],
)
def test_token_that_our_issuer_has_not_signed_is_refused(token: str, said: str) -> None:
    assert refusal(token) == said


def test_algorithm_that_is_not_listed_is_refused() -> None:
    only = CLAIMS._replace(algorithms=("ES256",))
    assert refusal(RSA.token(**GOOD), only) == "no key is known for it."


def test_key_that_is_for_another_algorithm_is_not_used() -> None:
    text = json.dumps({"keys": [RSA.jwk(alg="RS512")]})
    with pytest.raises(NotAuthenticated, match="no key is known"):
        tokens(text=text).client(RSA.token(**GOOD))


def test_token_is_refused_from_its_end_on_although_it_is_remembered() -> None:
    clock = FakeClock()
    clock.now = float(NOW)
    found = Tokens(jwks(OURS), "keys.json", CLAIMS, clock)
    token = OURS.token(**GOOD)
    assert found.client(token).principal == "ann"
    clock.now = NOW + 610.0
    with pytest.raises(NotAuthenticated, match="it has expired"):
        found.client(token)


def test_memory_of_tokens_is_bounded() -> None:
    found = tokens()
    for number in range(module.REMEMBERED + 5):
        found.client(OURS.token(**GOOD, jti=str(number)))
    assert len(found._right) == module.REMEMBERED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"keys": [}', "keys.json line 2: is no JSON; set authentication.jwks"),
        ("[]", "keys.json: has no member keys"),
        ('{"keys": []}', "keys.json: has no public key for signatures"),
        ('{"keys": [{"kty": "oct", "k": "planted"}]}', "has no public key for signatures"),
        (
            '{"keys": [1, {"kty": "EC", "crv": "P-256", "x": "planted"}]}',
            "keys.json: has no public key for signatures but keys[1], of which the members make no "
            "key that is known here; set authentication.jwks to a JWKS file or its URL",
        ),
        ('{"keys": [{"kty": "RSA", "alg": "planted"}]}', "keys[0], of which alg is none for"),
        ('{"keys": [{"kty": ["planted"]}]}', "has no public key for signatures; set"),
        (json.dumps({"keys": [OURS.jwk(use="enc")]}), "has no public key for signatures"),
    ],
)
def test_bad_keys_are_named_and_not_shown(text: str, said: str) -> None:
    with pytest.raises(BadFile) as failed:
        tokens(text=text)
    assert said in str(failed.value)
    assert "planted" not in str(failed.value)


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "RSA", "alg": "RSA-OAEP", "n": "planted"},
        RSA.jwk(alg="RSA-OAEP"),
        RSA.jwk(alg="none"),
        RSA.jwk(n=1),
        RSA.jwk(alg=["planted"]),
        OURS.jwk(crv="planted"),
        OURS.jwk(x="planted"),
        {"kty": "OKP", "crv": "X25519", "x": "planted"},
        {"kty": "EC"},
    ],
)
def test_key_that_cannot_be_used_is_passed_over(
    other: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    text = json.dumps({"keys": [OURS.jwk(), {"kid": "planted", **other}]})
    assert tokens(text=text).client(OURS.token(**GOOD)).principal == "ann"
    (record,) = caplog.records
    assert "where=keys.json count=1: keys[1], of which " in record.getMessage()
    assert "planted" not in caplog.text


class Web:
    """A JWKS behind a URL, that may be away."""

    def __init__(self) -> None:
        self.asked = 0
        self.text: str | None = jwks(OURS)

    def __call__(self, _url: str) -> str:
        self.asked += 1
        if self.text is None:
            raise OSError("away")
        return self.text


def test_keys_behind_a_url_are_fetched_aside_and_kept_while_it_is_away() -> None:
    web, clock = Web(), FakeClock()
    remote = RemoteKeys("https://id/keys", CLAIMS, 300.0, web, clock)
    with pytest.raises(ServiceUnavailable, match="not there yet") as failed:
        remote.client(OURS.token(**GOOD))
    assert failed.value.headers == {"Retry-After": "1"}
    assert remote.look()
    assert remote.client(OURS.token(**GOOD)).principal == "ann"
    assert not remote.look()
    assert web.asked == 1
    clock.now += 300
    assert not remote.look()
    assert web.asked == 2
    web.text = None
    for wait in (300.0, AGAIN_SECONDS, AGAIN_SECONDS):
        clock.now += wait
        assert not remote.look()
    assert web.asked == 5
    assert remote.client(OURS.token(**GOOD)).principal == "ann"
    for bad in ("{}", json.dumps({"keys": [{"kty": "RSA", "alg": "RSA-OAEP"}]})):
        web.text = bad
        clock.now += AGAIN_SECONDS
        assert not remote.look()
    assert remote.client(OURS.token(**GOOD)).principal == "ann"


@pytest.mark.parametrize("text", [None, "no JSON"])
def test_log_does_not_show_what_a_url_of_keys_asks_with(
    text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    web = Web()
    web.text = text
    assert not RemoteKeys("https://id/keys?key=planted", CLAIMS, 300.0, web, FakeClock()).look()
    assert "host=id" in caplog.text
    assert "planted" not in caplog.text


def test_log_does_not_show_what_an_issuer_sends_on_to(caplog: pytest.LogCaptureFixture) -> None:
    def web(_url: str) -> str:
        raise OSError("Redirection to url 'file://id/keys?key=planted' is not allowed")

    assert not RemoteKeys("https://id/keys", CLAIMS, 300.0, web, FakeClock()).look()
    assert "Redirection to url" in caplog.text
    assert "planted" not in caplog.text


def test_url_of_keys_is_known_whatever_the_case_of_its_scheme() -> None:
    given = ["authentication.method=BEARER", "authentication.jwks=HTTPS://id/keys?key=x"]
    assert Authority(s.load(None, {}, given)).has_remote_keys


def test_token_with_a_new_key_has_the_keys_fetched_but_not_often() -> None:
    web, clock = Web(), FakeClock()
    remote = RemoteKeys("https://id/keys", CLAIMS, 300.0, web, clock)
    assert remote.look()
    fresh = Issuer("k9")
    web.text = jwks(OURS, fresh)
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            remote.client(fresh.token(**GOOD))
        assert not remote.look()
    assert web.asked == 1
    clock.now += AGAIN_SECONDS
    assert remote.look()
    assert remote.client(fresh.token(**GOOD)).principal == "ann"
    # What no key would help does not have them fetched.
    clock.now += AGAIN_SECONDS
    for token in (EVIL.token(**GOOD), unsigned(alg="none"), "x"):
        with pytest.raises(NotAuthenticated):
            remote.client(token)
    assert not remote.look()
    assert web.asked == 2


def test_keys_that_are_wanted_during_a_fetch_are_fetched_after_it() -> None:
    clock, asked = FakeClock(), []

    def web(url: str) -> str:
        asked.append(url)
        if len(asked) == 1:
            remote.want()
        return jwks(OURS)

    remote = RemoteKeys("https://id/keys", CLAIMS, 300.0, web, clock)
    assert [remote.look() for _ in range(3)] == [True, False, False]
    assert len(asked) == 2


def test_bearer_needs_its_keys_and_says_so_to_clients(tmp_path: Path) -> None:
    with pytest.raises(s.SettingsError, match=r"authentication\.jwks.*must be the path"):
        s.load(None, {}, ["authentication.method=BEARER"])
    (tmp_path / "keys").write_text(jwks(OURS))
    given = ["authentication.method=BEARER", f"authentication.jwks={tmp_path}/keys"]
    authority = Authority(s.load(None, {}, given))
    assert authority.client(f"Bearer {OURS.token(**GOOD)}").principal == "ann"
    with pytest.raises(NotAuthenticated) as failed:
        authority.client(None)
    assert failed.value.headers == {"WWW-Authenticate": 'Bearer realm="kafka-rest"'}
    (tmp_path / "keys").write_text(jwks(RSA))
    authority.reload()
    with pytest.raises(NotAuthenticated, match="no key is known"):
        authority.client(f"Bearer {OURS.token(**GOOD)}")
