"""TLS towards the schema registry: a context from files, and the adapter that makes requests use it
and nothing else.
"""

import ssl
from pathlib import Path
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH


class TlsFiles(NamedTuple):
    """What an https connection is to be made with; an empty text where there is none.

    `ca`: PEM file or folder of the authorities to trust, in place of the public ones. `certificate`
    and `key`: PEM, who the proxy is. `check_names`: a certificate must be of the host's name.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = ""
    check_names: bool = True


class TlsMistake(Exception):
    """A file cannot be used: `part` is its name in `TlsFiles`, the text the reason."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason)
        self.part = part


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """The context. Raises: TlsMistake."""
    context = ssl.create_default_context() if not files.ca else _trusting(files.ca)
    if not files.ca:
        # Where there is no store of the system's, or an old one.
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if files.certificate:
        try:
            # Without a password that is a function OpenSSL would ask at the terminal.
            context.load_cert_chain(
                files.certificate, files.key or None, lambda: files.key_password
            )
        except (OSError, ValueError) as error:
            raise TlsMistake("certificate", _told(error)) from error
    context.check_hostname = files.check_names
    return context


def _trusting(ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As with Java's stores, an authority that is there suffices, its own issuer need not be.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        folder = Path(ca).is_dir()
        context.load_verify_locations(None if folder else ca, ca if folder else None)
    except (OSError, ValueError) as error:
        raise TlsMistake("ca", _told(error)) from error
    return context


def _told(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return f"{reason} (PEM is wanted, and for a key its password)"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


class TlsAdapter(HTTPAdapter):
    """Makes https connections by a context of ours, to which the library adds nothing."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Say where to connect, and how."""
        place, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        how: dict[str, Any] = {"ssl_context": self._context}
        if not self._context.check_hostname:
            how["assert_hostname"] = False
        return place, how

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Add nothing to the context."""


def tls_reason(error: BaseException | None) -> str:
    """Why TLS failed, out of the library's chain of errors; empty where it was not TLS."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        if isinstance(error, ssl.SSLEOFError):
            return "the other side ended it; does it want another certificate?"
        if isinstance(error, ssl.SSLError):
            told = getattr(error, "verify_message", "") or error.reason or ""
            return told.replace("_", " ").lower()
        inner = getattr(error, "reason", None) or next(
            (arg for arg in error.args if isinstance(arg, BaseException)), None
        )
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return ""
