"""Which worker owns a consumer instance: arithmetic on its name, no directory.

Slots are the numbered places of the workers; a worker that is replaced leaves its slot to the next.
"""

import uuid
from zlib import crc32


def owner_slot(group: str, instance: str, slots: int) -> int:
    """The slot of the worker that owns the instance, from 0 to `slots` - 1."""
    # Undecodable paths must find an owner too, to be told that there is no such instance.
    name = f"{group}\0{instance}".encode("utf-8", "surrogateescape")
    return crc32(name) % slots


def mint_instance(group: str, slot: int, slots: int, prefix: str) -> str:
    """A fresh instance name, `prefix` and a random UUID, that the worker in `slot` owns."""
    while True:
        name = f"{prefix}{uuid.uuid4()}"
        if owner_slot(group, name, slots) == slot:
            return name
