"""Checks across several settings; each yields the key to name and what would be valid."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kafka_rest.settings import table as t
from kafka_rest.settings.derived import listeners, pinned_port

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


CHECKS: tuple[Check, ...] = (
    _pinned_ports_exist,
    _cluster_is_whole,
    _management_ports_are_their_own,
)
