"""Which fault when: drawn from a seed, the same for the same seed."""

import random
from typing import NamedTuple

from tests.chaos.events import FREEZE, KILL, KINDS, LEAVE, RESTART, SLOW, STOP

PROXIES, WORKERS = 2, 2
SECONDS: dict[str, tuple[float, float]] = {
    KILL: (0.0, 0.0),
    RESTART: (0.0, 2.0),
    STOP: (0.5, 4.0),
    FREEZE: (1.0, 8.0),
    SLOW: (3.0, 6.0),
    LEAVE: (2.0, 5.0),
}
"""How long a fault lasts, without the time that a process takes to stop and to start."""
PAUSE = (1.0, 8.0)
"""Between the beginnings of two faults: some meet."""
SHORT = 0.4
"""What a short run makes of these times."""


class Fault(NamedTuple):
    """A fault, in seconds from the begin of the load; `target` picks the proxy and its worker."""

    at: float
    kind: str
    seconds: float
    target: int

    @property
    def proxy(self) -> int:
        """The proxy."""
        return self.target % PROXIES

    @property
    def worker(self) -> int:
        """The worker of it."""
        return self.target // PROXIES % WORKERS

    def __str__(self) -> str:
        whom = {KILL: f" {self.worker} of proxy {self.proxy}", RESTART: f" {self.proxy}"}
        lasts = f", {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.kind}{whom.get(self.kind, '')}{lasts}"


def drawn(seed: int, seconds: float) -> list[Fault]:
    """Rounds of all kinds in random order, until so many seconds are full."""
    dice = random.Random(seed)
    found: list[Fault] = []
    at = dice.uniform(*PAUSE)
    while at < seconds:
        for kind in dice.sample(KINDS, len(KINDS)):
            found.append(_fault(dice, at, kind, 1.0))
            at += dice.uniform(*PAUSE)
    return [fault for fault in found if fault.at < seconds]


def one_of_each(seed: int) -> list[Fault]:
    """Every kind once, one soon after the other."""
    dice = random.Random(seed)
    pause = sum(PAUSE) / 2 * SHORT * 2
    return [
        _fault(dice, 1.0 + number * pause, kind, SHORT)
        for number, kind in enumerate(dice.sample(KINDS, len(KINDS)))
    ]


def _fault(dice: random.Random, at: float, kind: str, factor: float) -> Fault:
    return Fault(at, kind, dice.uniform(*SECONDS[kind]) * factor, dice.randrange(PROXIES * WORKERS))
