"""Connections that speak TLS: the handshake, in a thread of the pool and within bounds."""

import logging
import socket
import ssl
import struct
from typing import Any

from kafka_rest.server.framing import STALL_SECONDS, Parser

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 5.0
"""How long a client may take to come to terms; it holds a thread meanwhile."""


class Connection(ssl.SSLSocket):
    """One whose blocking calls end when a client stalls.

    OpenSSL's are made again by Python when SO_RCVTIMEO has run out, for ever.
    """

    def setblocking(self, flag: bool) -> None:
        """Block, for as long as a client may stall, or not at all."""
        self.settimeout(STALL_SECONDS if flag else 0.0)


def limit_stalls(connection: socket.socket, seconds: int = STALL_SECONDS) -> None:
    """Let no read or write of a thread take longer than a client may stall."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))


def begin_tls(conn: Any, context: ssl.SSLContext, cfg: Any) -> bool:
    """Make a connection of gunicorn's one that speaks TLS; False where the client cannot.

    Blocks for the handshake, within bounds. The connection is closed then.
    """
    limit_stalls(conn.sock)
    conn.sock.settimeout(HANDSHAKE_SECONDS)
    context.sslsocket_class = Connection
    try:
        conn.sock = context.wrap_socket(conn.sock, server_side=True)
    except OSError as error:
        # Scanners and clients with another idea of certificates: nothing that an alarm is for.
        log.info("no TLS with a client reason=%s", getattr(error, "reason", None) or error)
        conn.sock.close()
        return False
    conn.sock.setblocking(True)
    conn.parser, conn.initialized = Parser(cfg, conn.sock, conn.client), True
    return True
