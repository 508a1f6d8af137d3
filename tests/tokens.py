"""Tokens for tests: who issues them, with keys made here."""

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


class Issuer:
    """Signs tokens with one key, RS256 or ES256."""

    def __init__(self, key_id: str = "k1", algorithm: str = "ES256") -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self._key: Any = (
            rsa.generate_private_key(65537, 2048)
            if algorithm.startswith("RS")
            else ec.generate_private_key(ec.SECP256R1())
        )

    def jwk(self, **more: Any) -> dict[str, Any]:
        """The public key."""
        kind: Any = RSAAlgorithm if self.algorithm.startswith("RS") else ECAlgorithm
        found = kind.to_jwk(self._key.public_key(), as_dict=True)
        return {**found, "kid": self.key_id, "use": "sig", **more}

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that says so."""
        given = {"kid": self.key_id} if headers is None else headers
        return jwt.encode(claims, self._key, self.algorithm, given)


def jwks(*issuers: Issuer) -> str:
    """The public keys of issuers, as a file holds them."""
    return json.dumps({"keys": [issuer.jwk() for issuer in issuers]})
