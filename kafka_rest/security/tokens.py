"""Bearer tokens: JWTs, checked with the public keys of who issues them (a JWKS)."""

import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka_rest.errors import NotAuthenticated
from kafka_rest.security.files import BadFile, text_of

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger(__name__)

REMEMBERED = 1000
NAME_LENGTH = 256
_CURE = "set authentication.jwks to a JWKS file or its URL"
# Public keys only: with a shared secret whoever can check a token can make one.
_KINDS = frozenset({"RSA", "EC", "OKP"})
# Of keys that are passed over a message names no more.
_NAMED = 5


class Client(NamedTuple):
    """Who a client is, and until when that holds (seconds since the epoch); None: no end is set."""

    principal: str
    until: float | None = None


class Claims(NamedTuple):
    """What a token has to say. Without audiences or issuer that is not looked at."""

    algorithms: tuple[str, ...]
    audiences: tuple[str, ...]
    issuer: str
    principal: str
    leeway_seconds: float


class _Key(NamedTuple):
    key_id: str | None
    algorithm: str | None
    key: "PyJWK"


class Tokens:
    """Checks tokens with one set of keys, and remembers those that were right. Thread-safe."""

    def __init__(
        self, text: str, where: str, claims: Claims, clock: Callable[[], float] = time.time
    ) -> None:
        """Read the keys of a JWKS. Raises: BadFile, which shows no key."""
        self.text, self._claims, self._clock = text, claims, clock
        self._keys = _keys_of(text, where)
        self._right: OrderedDict[bytes, Client] = OrderedDict()

    def knows(self, token: str) -> bool:
        """Whether there is a key for a token, as far as its head says which."""
        # Imported here, as below: most servers have no tokens.
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            return header.get("alg") not in self._claims.algorithms or bool(self._fitting(header))
        except jwt.PyJWTError:
            # No newer key would help.
            return True

    def client(self, token: str) -> Client:
        """Who the token is for. Never blocks. Raises: NotAuthenticated."""
        digest = hashlib.sha256(token.encode("latin-1")).digest()
        found = self._right.get(digest)
        if found is None:
            found = self._checked(token)
            self._right[digest] = found
            while len(self._right) > REMEMBERED:
                # Other threads may have forgotten all of them.
                with suppress(KeyError):
                    self._right.popitem(last=False)
        require_time(found, self._clock())
        return found

    def _fitting(self, header: dict[str, Any]) -> list[_Key]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._claims.algorithms:
            return []
        return [
            key
            for key in self._keys
            if (key_id is None or key.key_id == key_id) and key.algorithm in (None, algorithm)
        ]

    def _checked(self, token: str) -> Client:
        import jwt

        claims = self._claims
        try:
            header = jwt.get_unverified_header(token)
            fitting = self._fitting(header)
            if len(fitting) != 1:
                raise _refused("no key is known for it")
            said = jwt.decode(
                token,
                fitting[0].key.key,
                algorithms=[header["alg"]],
                audience=claims.audiences or None,
                issuer=claims.issuer or None,
                leeway=claims.leeway_seconds,
                options={"require": ["exp"], "verify_aud": bool(claims.audiences)},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise _refused(_reason(error)) from error
        principal = said.get(claims.principal)
        if not isinstance(principal, str) or not 0 < len(principal) <= NAME_LENGTH:
            raise _refused(f"its claim {claims.principal} names nobody")
        if not principal.isprintable():
            raise _refused(f"its claim {claims.principal} is no name")
        try:
            end = float(said["exp"])
        except OverflowError:
            raise _refused("its end is no time") from None
        return Client(principal, end + claims.leeway_seconds)


def tokens_from(path: str, claims: Claims) -> Tokens:
    """The keys of a file. Raises: BadFile."""
    return Tokens(text_of(path, _CURE), path, claims)


def require_time(client: Client, now: float) -> None:
    """Refuse who a client was until its token's end. Raises: NotAuthenticated."""
    if client.until is not None and now >= client.until:
        raise _refused("it has expired")


def _refused(why: str) -> NotAuthenticated:
    return NotAuthenticated(f"{NotAuthenticated.message} the token is refused: {why}.")


def _reason(error: Exception) -> str:
    """What is wrong with a token, in words that hold nothing of it."""
    name = type(error).__name__
    return {
        "ExpiredSignatureError": "it has expired",
        "ImmatureSignatureError": "its time has not come yet",
        "InvalidAudienceError": "it is for another audience",
        "InvalidIssuerError": "it is of another issuer",
        "InvalidSignatureError": "its signature is wrong",
        "MissingRequiredClaimError": "it lacks a claim that is needed",
    }.get(name, "it is no token that can be read")


def _keys_of(text: str, where: str) -> list[_Key]:
    import jwt

    try:
        listed = json.loads(text)["keys"]
    except json.JSONDecodeError as error:
        raise BadFile(where, error.lineno, f"is no JSON; {_CURE}") from error
    except (KeyError, TypeError, RecursionError) as error:
        raise BadFile(where, 0, f"has no member keys; {_CURE}") from error
    found, skipped = [], []
    for number, entry in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(entry, dict) or str(entry.get("kty")) not in _KINDS:
            continue
        if entry.get("use", "sig") != "sig":
            continue
        try:
            found.append(_Key(entry.get("kid"), entry.get("alg"), jwt.PyJWK(entry)))
        except Exception as error:
            # Whatever the library makes of it: the standard for such sets (RFC 7517) wants keys
            # passed over that are not understood. They are no reason to refuse the others.
            skipped.append(f"keys[{number}], of which {_lacking(error)}")
    said = ", ".join(skipped[:_NAMED])
    if not found:
        raise BadFile(
            where, 0, f"has no public key for signatures{said and f' but {said}'}; {_CURE}"
        )
    if skipped:
        log.warning("keys for tokens passed over where=%s count=%d: %s", where, len(skipped), said)
    return found


def _lacking(error: Exception) -> str:
    """Why a key cannot be used, in words that hold nothing of it."""
    unknown = type(error).__name__ in ("PyJWKError", "NotImplementedError")
    return "alg is none for signatures" if unknown else "the members make no key that is known here"
