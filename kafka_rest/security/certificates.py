"""Certificates for HTTPS from PEM files, and who a client is by its own."""

import binascii
import re
import ssl
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka_rest import settings as s
from kafka_rest.security.files import BadFile, text_of

_BOUND = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]+)-----\Z")
_CERTIFICATE, _KEY = "CERTIFICATE", "PRIVATE KEY"
_KEYSTORE_CURE = "set ssl.keystore.location to a PEM file with certificates and private key"
_TRUSTSTORE_CURE = "set ssl.truststore.location to a PEM file with the certificates of authorities"
# Java's stores, which the reference reads, cannot be told from each other by their names.
_BINARY = (
    "is no PEM but a binary file; make one of PKCS12 with: openssl pkcs12 -in FILE -out FILE.pem, "
    "and of JKS first PKCS12 with: keytool -importkeystore -srckeystore FILE -destkeystore "
    "FILE.p12 -deststoretype PKCS12"
)
# As the standard for the text of names has them (RFC 4514); others keep their own name.
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_SPECIAL = re.compile(r'([,+"\\<>;])|(\A[ #]|(?<!\A) \Z)')


class Block(NamedTuple):
    """A part of a PEM file; `line` is its first."""

    line: int
    kind: str
    text: str


def server_context(settings: s.Settings) -> ssl.SSLContext | None:
    """What https listeners speak TLS with; None where there is none.

    Blocks for the disk. Raises: BadFile.
    """
    if not s.tls_ports(settings):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_own(context, settings)
    wanted = s.client_authentication(settings)
    if wanted != "NONE":
        context.verify_mode = ssl.CERT_REQUIRED if wanted == "REQUIRED" else ssl.CERT_OPTIONAL
        # As with Java's stores, an authority that is there suffices, its own issuer need not be.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        path = settings[s.SSL_TRUSTSTORE_LOCATION]
        for block in _certificates(path, _TRUSTSTORE_CURE):
            context.load_verify_locations(cadata=block.text)
    return context


def subject_of(certificate: Mapping[str, Any] | None) -> str | None:
    """The subject of a certificate that a client has shown, the most special part first.

    None where there is none, or it names nobody.
    """
    parts = (certificate or {}).get("subject", ())
    said = ["+".join(f"{_SHORT.get(n, n)}={_escaped(v)}" for n, v in part) for part in parts]
    return ",".join(reversed(said)) or None


def _escaped(value: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", value)


def blocks_of(path: str, cure: str) -> list[Block]:
    """The parts of a PEM file. Raises: BadFile, with file and line."""
    found: list[Block] = []
    begun: Block | None = None
    lines: list[str] = []
    for number, line in enumerate(text_of(path, cure, _BINARY).splitlines(), 1):
        bound = _BOUND.match(line.strip())
        if bound is None:
            lines.append(line.strip())
        elif bound[1] == "BEGIN":
            if begun is not None:
                raise BadFile(path, begun.line, f"{begun.kind} has no end; {cure}")
            begun, lines = Block(number, bound[2], ""), []
        elif begun is None or begun.kind != bound[2]:
            raise BadFile(path, number, f"the end of a {bound[2]} that does not begin; {cure}")
        else:
            found.append(begun._replace(text=_checked(path, begun, lines)))
            begun = None
    if begun is not None:
        raise BadFile(path, begun.line, f"{begun.kind} has no end; {cure}")
    return found


def _checked(path: str, block: Block, lines: list[str]) -> str:
    # An encrypted key may have fields before its data.
    for number, line in enumerate(lines, block.line + 1):
        try:
            if ":" not in line:
                b64decode(line, validate=True)
        except binascii.Error as error:
            raise BadFile(
                path, number, f"is no base64, so the {block.kind} is damaged; copy it anew"
            ) from error
    return "\n".join([f"-----BEGIN {block.kind}-----", *lines, f"-----END {block.kind}-----", ""])


def _certificates(path: str, cure: str) -> list[Block]:
    """The certificates of a file, at least one, each of which can be read. Raises: BadFile."""
    found = [block for block in blocks_of(path, cure) if block.kind == _CERTIFICATE]
    if not found:
        raise BadFile(path, 0, f"has no certificate; {cure}")
    for block in found:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block.text)
        except ssl.SSLError as error:
            raise BadFile(path, block.line, "the certificate is damaged; copy it anew") from error
    return found


def _load_own(context: ssl.SSLContext, settings: s.Settings) -> None:
    path = settings[s.SSL_KEYSTORE_LOCATION]
    _certificates(path, _KEYSTORE_CURE)
    keys = [b for b in blocks_of(path, _KEYSTORE_CURE) if b.kind.endswith(_KEY)]
    if len(keys) != 1:
        raise BadFile(path, 0, f"has {len(keys)} private keys; append the one of its certificate")
    password = settings[s.SSL_KEY_PASSWORD] or settings[s.SSL_KEYSTORE_PASSWORD]
    try:
        # A password of any kind: without one OpenSSL would ask at the terminal.
        context.load_cert_chain(path, password=password or b"")
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            what = "is not the key of the first certificate; put the server's certificate first"
        else:
            what = "the private key cannot be read; if it is encrypted, set ssl.key.password"
        raise BadFile(path, keys[0].line, what) from error
