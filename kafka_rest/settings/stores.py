"""What kind of file a key or trust store is: the type set for it may be wrong or missing."""

from pathlib import Path

# What the beginning of a file says; Java looks too. PEM may have text before it.
_MAGIC = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS", b"\x30": "PKCS12"}
_PEM = b"-----BEGIN"
_LOOKED_AT_BYTES = 1 << 16

TO_PKCS12 = "keytool -importkeystore -srckeystore STORE -destkeystore NEW -deststoretype PKCS12"
TO_PEM = "keytool -list -rfc -keystore STORE > ca.pem"


def store_type(location: str, given: str = "") -> str:
    """`PEM`, `PKCS12` or `JKS`, ...: by the file, else as given; JKS where nobody says, as in Java.

    Reads the file's beginning; one that cannot be read is named by whoever uses it.
    """
    unsure = (given or "JKS").upper()
    try:
        with Path(location).open("rb") as file:
            head = file.read(_LOOKED_AT_BYTES)
    except (OSError, ValueError):
        return unsure
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), unsure)
    return "PEM" if _PEM in head else found


def unreadable_trust(setting: str, instead: str) -> str:
    """Why a trust store cannot be used, and the cure: another setting."""
    return (
        f"{setting} cannot be used: only PEM can be read there; write the certificates out "
        f"({TO_PEM}) and set {instead}=ca.pem"
    )
