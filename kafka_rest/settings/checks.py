"""Checks across several settings; each yields the key to name and what would be valid."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kafka_rest.settings import table as t
from kafka_rest.settings.derived import client_authentication, listeners, pinned_port, tls_ports

if TYPE_CHECKING:
    from kafka_rest.settings.load import Settings

SECRET_LENGTH = 16

Check = Callable[["Settings"], Iterator[tuple[str, str]]]


def _pinned_ports_exist(settings: "Settings") -> Iterator[tuple[str, str]]:
    if settings[t.CONSUMER_PINNING_LISTENERS]:
        last = pinned_port(settings, settings[t.SERVER_WORKERS] - 1)
        if last > 65535:
            yield t.CONSUMER_PINNING_LISTENERS.name, "false where there is no port for each worker"


def _cluster_is_whole(settings: "Settings") -> Iterator[tuple[str, str]]:
    peers = settings[t.CLUSTER_PEERS]
    if not peers:
        return
    if settings[t.ID] not in [peer.id for peer in peers]:
        listed = ", ".join(peer.id for peer in peers)
        yield t.ID.name, f"one of the ids in cluster.peers, which are {listed}"
    if len(settings[t.CLUSTER_SECRET]) < SECRET_LENGTH:
        yield (
            t.CLUSTER_SECRET.name,
            f"at least {SECRET_LENGTH} characters where cluster.peers is set, the same for all "
            "of them; `openssl rand -hex 32` makes one",
        )
    if settings[t.CONSUMER_PINNING_LISTENERS] and not settings[t.HOST_NAME]:
        yield (
            t.CONSUMER_PINNING_LISTENERS.name,
            "false with cluster.peers, unless host.name names this server: a worker's port is on "
            "no other",
        )


def _management_ports_are_their_own(settings: "Settings") -> Iterator[tuple[str, str]]:
    taken = {listener.port for listener in listeners(settings)}
    if settings[t.CONSUMER_PINNING_LISTENERS]:
        taken |= {pinned_port(settings, slot) for slot in range(settings[t.SERVER_WORKERS])}
    for listener in settings[t.MANAGEMENT_LISTENERS]:
        if listener.port in taken:
            yield t.MANAGEMENT_LISTENERS.name, f"another port than {listener.port}, which is taken"


def _methods_have_their_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    methods, users, keys = (
        settings[t.AUTHENTICATION_METHOD],
        t.AUTHENTICATION_HTPASSWD_FILE,
        t.AUTHENTICATION_JWKS,
    )
    if "BASIC" in methods and not settings[users]:
        yield users.name, "the path of a file, for authentication.method BASIC"
    if "BEARER" in methods and not settings[keys]:
        yield keys.name, "the path of a file, or a URL, for authentication.method BEARER"


def _tls_has_its_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    shown = client_authentication(settings) != "NONE"
    if not tls_ports(settings):
        if shown:
            yield t.SSL_CLIENT_AUTHENTICATION.name, "NONE where no listener is https"
        return
    if not settings[t.SSL_KEYSTORE_LOCATION]:
        yield t.SSL_KEYSTORE_LOCATION.name, "the path of a PEM file, for the https listener"
    if shown and not settings[t.SSL_TRUSTSTORE_LOCATION]:
        yield t.SSL_TRUSTSTORE_LOCATION.name, "the path of a PEM file, for clients' certificates"
    if settings[t.SERVER_WORKER_CLASS] == "gthread":
        yield t.SERVER_WORKER_CLASS.name, "kafka_rest.server.worker.Worker, for the https listener"


CHECKS: tuple[Check, ...] = (
    _pinned_ports_exist,
    _cluster_is_whole,
    _management_ports_are_their_own,
    _methods_have_their_files,
    _tls_has_its_files,
)
