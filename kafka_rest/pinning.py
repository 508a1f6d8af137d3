"""Which proxy, and which worker of it, owns a consumer instance: arithmetic on its name, no
directory.

Peers are the places of a cluster's proxies, in the order of their ids. Slots are the numbered
places of a proxy's workers; a worker that is replaced leaves its slot to the next.
"""

import uuid
from zlib import crc32


def owner_peer(group: str, instance: str, peers: int) -> int:
    """The place of the proxy that owns the instance, from 0 to `peers` - 1."""
    return _hash(group, instance) % peers


def owner_slot(group: str, instance: str, slots: int, peers: int = 1) -> int:
    """The slot of the worker that owns the instance in its proxy, from 0 to `slots` - 1."""
    # By what the choice of the proxy has left: with the whole number again, the first of two
    # proxies would own even hashes only, and give all of them to the first of two workers.
    return _hash(group, instance) // peers % slots


def mint_instance(
    group: str, slot: int, slots: int, prefix: str, peer: int = 0, peers: int = 1
) -> str:
    """A fresh instance name, `prefix` and a random UUID, that worker `slot` of `peer` owns."""
    while True:
        name = f"{prefix}{uuid.uuid4()}"
        if owner_peer(group, name, peers) == peer and owner_slot(group, name, slots, peers) == slot:
            return name


def _hash(group: str, instance: str) -> int:
    # Undecodable paths must find an owner too, to be told that there is no such instance.
    return crc32(f"{group}\0{instance}".encode("utf-8", "surrogateescape"))
