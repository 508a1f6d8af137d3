"""Is what was acknowledged stored, what was read produced, and nothing skipped: pure functions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.events import Attempted, Committed, Event, Handed, Place


@dataclass(slots=True)
class Verdict:
    """What was counted, by name, and what must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def check_log(
    attempts: Mapping[int, int],
    acknowledged: Mapping[int, Place],
    log: Mapping[Place, int],
    may_repeat: bool,
) -> Verdict:
    """Compare what was sent with what is stored.

    `attempts`: how often each number was sent; `log`: the number at each place. `may_repeat`: the
    producer is not idempotent and has lost its broker, so that its own retries may store a record
    twice.
    """
    found = Verdict()
    places = defaultdict(list)
    for place, number in log.items():
        places[number].append(place)
    for number, place in acknowledged.items():
        if log.get(place) != number:
            found.violations.append(
                f"lost: record {number} was acknowledged at {place}, where {log.get(place)} is"
            )
    for number, stored in places.items():
        if number not in attempts:
            found.violations.append(f"invented: record {number} at {stored} was never sent")
            continue
        copies = len(stored) - (number in acknowledged)
        open_attempts = attempts[number] - (number in acknowledged)
        repeated = max(copies - open_attempts, 0)
        found.counts["stored though not acknowledged"] += copies - repeated
        found.counts["stored again by a retry inside the proxy"] += repeated
        if repeated and not may_repeat:
            found.violations.append(f"repeated: record {number} at {stored}, sent once for each?")
    found.counts |= Counter(
        {
            "records sent": len(attempts),
            "requests' records, with retries": sum(attempts.values()),
            "acknowledged": len(acknowledged),
            "stored": len(log),
        }
    )
    return found


def check_reads(
    events: Iterable[Event], log: Mapping[Place, int], groups: Iterable[str]
) -> Verdict:
    """Compare what the readers of each group were handed, in the order of events, with the log."""
    found = Verdict()
    state = {group: _Group(group, found) for group in groups}
    for event in events:
        match event:
            case Handed():
                if log.get(event.place) != event.number:
                    found.violations.append(
                        f"invented: {event.group} was handed {event.number} as {event.place}, "
                        f"where {log.get(event.place)} is"
                    )
                state[event.group].handed(event)
            case Attempted():
                state[event.group].attempted(event)
            case Committed():
                state[event.group].committed(event)
    for group in state.values():
        found.violations += group.left_out(log)
    return found


class _Group:
    """What the readers of a group have been handed and have committed so far."""

    def __init__(self, name: str, found: Verdict) -> None:
        self._name, self._found = name, found
        self._offsets: defaultdict[int, set[int]] = defaultdict(set)
        self._edge: Counter[int] = Counter()
        """By partition: below it every offset was handed out."""
        self._limit: Counter[int] = Counter()
        """By partition: the highest offset that anybody has tried to commit."""
        self._next: dict[tuple[str, int], int] = {}
        """By session and partition: the offset behind the last one handed out."""

    def handed(self, event: Handed) -> None:
        partition, offset = event.place
        seen = self._offsets[partition]
        self._found.counts["handed out"] += 1
        self._found.counts["handed out again"] += offset in seen
        expected = self._next.get((event.session, partition))
        if offset != expected and offset > self._limit[partition]:
            self._found.violations.append(
                f"skipped: {self._name} was handed offset {offset} of partition {partition} in "
                f"{event.session}, after {expected}; committed up to {self._limit[partition]}"
            )
        self._next[event.session, partition] = offset + 1
        seen.add(offset)
        while self._edge[partition] in seen:
            self._edge[partition] += 1

    def attempted(self, event: Attempted) -> None:
        self._limit[event.partition] = max(self._limit[event.partition], event.next_offset)

    def committed(self, event: Committed) -> None:
        self._found.counts["commits checked, by partition"] += 1
        edge = self._edge[event.partition]
        if event.next_offset > edge:
            self._found.violations.append(
                f"gap: {self._name} has committed {event.next_offset} of partition "
                f"{event.partition}, and offset {edge} was handed to nobody"
            )

    def left_out(self, log: Mapping[Place, int]) -> Iterator[str]:
        """What was never handed out, although the readers had their time after the faults."""
        missing = [p for p in log if p.offset not in self._offsets[p.partition]]
        if missing:
            yield f"never read: {self._name}, {len(missing)} records, such as {min(missing)}"
