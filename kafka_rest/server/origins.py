"""Where a request comes from: a client, another worker of this server, or another proxy.

Workers and proxies say whose request they relay: its address, its scheme, and who it is. What says
so is taken off every request, and believed of them alone.
"""

from enum import Enum
from typing import TYPE_CHECKING

from kafka_rest.security.principals import HEADER as PRINCIPAL_HEADER
from kafka_rest.security.principals import PRINCIPAL, named_by
from kafka_rest.server.link import PEER_HEADER, SCHEME_HEADER
from kafka_rest.server.peers import SIGNATURE_HEADER, Claims, Peers
from kafka_rest.server.relay import came_relayed
from kafka_rest.server.seats import CLIENT

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_ORIGIN = "kafka_rest.origin"
_SAID = tuple(
    "HTTP_" + name.upper().replace("-", "_")
    for name in (PEER_HEADER, SCHEME_HEADER, PRINCIPAL_HEADER, SIGNATURE_HEADER)
)


class Origin(Enum):
    """Who sends a request."""

    CLIENT = 1
    WORKER = 2
    PROXY = 3


def origin_of(environ: "WSGIEnvironment", peers: Peers) -> Origin:
    """The origin, found out once for each request; what it says is in the environ from then on.

    Raises: Forbidden for one that pretends to be a proxy.
    """
    known: Origin | None = environ.get(_ORIGIN)
    if known is not None:
        return known
    address, scheme, principal, signature = (environ.pop(name, None) for name in _SAID)
    found = Origin.CLIENT
    if came_relayed(environ):
        found = Origin.WORKER
    elif signature is not None:
        claims = Claims(address or "", scheme or "", signature, principal or "")
        peers.require_signed(environ, claims)
        found = Origin.PROXY
    if found is not Origin.CLIENT:
        if address is not None:
            environ["REMOTE_ADDR"] = environ[CLIENT] = address
            environ["wsgi.url_scheme"] = scheme or "http"
        if principal is not None:
            environ[PRINCIPAL] = named_by(principal)
    environ[_ORIGIN] = found
    return found
