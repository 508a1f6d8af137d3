"""Connections that speak TLS: what blocks on them ends."""

import socket
import ssl

from kafka_rest.server.framing import STALL_SECONDS
from kafka_rest.server.tls import Connection


def test_blocking_call_ends_when_a_client_stalls() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = Connection
    here, there = socket.socketpair()
    with (
        there,
        context.wrap_socket(here, server_side=True, do_handshake_on_connect=False) as connection,
    ):
        connection.setblocking(True)
        assert connection.gettimeout() == STALL_SECONDS
        connection.setblocking(False)
        assert connection.gettimeout() == 0
