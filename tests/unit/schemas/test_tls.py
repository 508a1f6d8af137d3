"""TLS towards the schema registry: whose certificates are taken."""

import ssl
from pathlib import Path

import pytest

from kafka_rest.schemas.tls import TlsFiles, tls_context
from tests.certificates import Authority, shake_hands


def test_authority_that_is_named_suffices_without_its_own_issuer(tmp_path: Path) -> None:
    root = Authority("root")
    middle = Authority("middle", root)
    (tmp_path / "ca.pem").write_text(middle.pem)
    client = tls_context(TlsFiles(ca=str(tmp_path / "ca.pem")))

    def server(authority: Authority) -> ssl.SSLContext:
        (tmp_path / "server.pem").write_text("".join(authority.issue(CN="registry")))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        return context

    assert shake_hands(server(middle), client).version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server(root), client)
