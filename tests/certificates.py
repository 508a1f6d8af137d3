"""Certificates for tests: an authority, and what it signs, as PEM; handshakes with them."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = {
    "C": NameOID.COUNTRY_NAME,
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
}


def name_of(**parts: str) -> x509.Name:
    """A name of parts, the most general first."""
    return x509.Name([x509.NameAttribute(NAMES[key], value) for key, value in parts.items()])


def pem_of(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    """A private key, encrypted if wanted."""
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        how = serialization.BestAvailableEncryption(password)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, how).decode()


class Authority:
    """Signs certificates. Its own is of another authority, or else of itself."""

    def __init__(self, name: str = "test authority", issuer: "Authority | None" = None) -> None:
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), name_of(CN=name)
        self.pem = (issuer or self)._signed(self._name, self._key, authority=True)

    def issue(self, password: bytes | None = None, **parts: str) -> tuple[str, str]:
        """A certificate for this host, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._signed(name_of(**parts), key), pem_of(key, password)

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, authority: bool = False
    ) -> str:
        now = datetime.now(UTC)
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        public = key.public_key()
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """The server's side of a handshake without a socket. Raises: ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname="localhost")
    answering = server.wrap_bio(up, down, server_side=True)
    for side in (asking, answering, asking, answering):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return answering
