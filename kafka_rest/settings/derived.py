"""Values that follow from several settings."""

from typing import TYPE_CHECKING, NamedTuple

from kafka_rest.settings import table as t
from kafka_rest.settings.types import Listener, Peer

if TYPE_CHECKING:
    from kafka_rest.settings.load import Settings

FREE_SHARE = 4


class Cluster(NamedTuple):
    """The proxies of a cluster in the order of their ids, none for a lone one; `own` is the place
    of this one among them.
    """

    peers: tuple[Peer, ...]
    own: int
    secret: str


def cluster(settings: "Settings") -> Cluster:
    """The cluster of this server."""
    peers = settings[t.CLUSTER_PEERS]
    own = [peer.id for peer in peers].index(settings[t.ID]) if peers else 0
    return Cluster(peers, own, settings[t.CLUSTER_SECRET])


def listeners(settings: "Settings") -> tuple[Listener, ...]:
    """Where the server listens: as set, else everywhere at `port`."""
    return settings[t.LISTENERS] or (Listener("http", "0.0.0.0", settings[t.PORT]),)


def pinned_port(settings: "Settings", slot: int) -> int:
    """The port of a slot's own listener, behind the first listener's."""
    return listeners(settings)[0].port + 1 + slot


def tls_ports(settings: "Settings") -> frozenset[int]:
    """The ports of https listeners; a worker's own is like the first listener."""
    found = {listener.port for listener in listeners(settings) if listener.scheme == "https"}
    if settings[t.CONSUMER_PINNING_LISTENERS] and listeners(settings)[0].scheme == "https":
        found |= {pinned_port(settings, slot) for slot in range(settings[t.SERVER_WORKERS])}
    return frozenset(found)


def management_ports(settings: "Settings") -> frozenset[int]:
    """The ports where pages for probes answer and nothing else does; none: they answer on all."""
    return frozenset(listener.port for listener in settings[t.MANAGEMENT_LISTENERS])


def client_authentication(settings: "Settings") -> str:
    """Whether clients show certificates: NONE, REQUESTED or REQUIRED."""
    wanted: str = settings[t.SSL_CLIENT_AUTHENTICATION]
    return "REQUIRED" if wanted == "NONE" and settings[t.SSL_CLIENT_AUTH] else wanted


def clients_are_known(settings: "Settings") -> bool:
    """Whether clients say who they are, or may."""
    return bool(settings[t.AUTHENTICATION_METHOD]) or client_authentication(settings) != "NONE"


def longest_read_seconds(settings: "Settings") -> float:
    """The longest wait of a read that a client may ask for."""
    own = settings[t.CONSUMER_REQUEST_TIMEOUT_MS]
    return max(own, settings[t.CONSUMER_REQUEST_TIMEOUT_MAX_MS]) / 1000


def thread_polls_max(settings: "Settings") -> int:
    """Reads that may wait in the threads of a lane, where they have to: three quarters of them."""
    threads = min(settings[t.SERVER_THREADS], settings[t.SERVER_FORWARD_THREADS])
    return max(1, threads - max(1, threads // FREE_SHARE))
