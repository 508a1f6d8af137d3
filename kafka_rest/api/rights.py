"""Which rights a request takes: those that its path tells, by endpoint, and helpers for views whose
bodies name more.

A request served again by its head has been admitted when that head was first seen: what the path
tells is not looked at again until the server forgets the head.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kafka_rest.api.request import Call
from kafka_rest.errors import TopicForbidden, because
from kafka_rest.kafka.consumers import ConsumerInstance
from kafka_rest.security.authority import Rights

RIGHTS = "kafka_rest.rights"
"""Where the `Rights` of the client stand in a request's environ; absent where all may do all."""

_READS = (("read", "group"),)
NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "root.get": (),
    "root.post": (),
    "brokers.list": (),
    "topics.list": (),
    "topics.get": (("describe", "topic"),),
    "partitions.list": (("describe", "topic"),),
    "partitions.get": (("describe", "topic"),),
    "partitions.get-offsets": (("describe", "topic"),),
    "partitions.consume-{format}": (("read", "topic"),),
    "produce-to-topic.{format}": (("write", "topic"),),
    "produce-to-partition.{format}": (("write", "topic"),),
    "consumers.create": _READS,
    "consumers.delete": _READS,
    "consumers.subscribe": _READS,
    "consumers.get-subscription": _READS,
    "consumers.unsubscribe": _READS,
    "consumers.assign": _READS,
    "consumers.get-assignments": _READS,
    "consumers.seek-to-offset": _READS,
    "consumers.seek-to-beginning": _READS,
    "consumers.seek-to-end": _READS,
    "consumers.commit-offsets": _READS,
    "consumers.get-committed-offsets": _READS,
    "consumers.consume-{format}": _READS,
}
"""What each endpoint takes of the topic or group in its path; one that is not here is refused."""


def admit(environ: Mapping[str, Any], endpoint: str, segments: Mapping[str, str]) -> None:
    """Refuse a request whose path names what its client has no right to. Raises: TopicForbidden."""
    rights: Rights | None = environ.get(RIGHTS)
    if rights is None:
        return
    if endpoint not in NEEDS:
        raise because(TopicForbidden, f"{endpoint} is open to nobody where there are rules.")
    for operation, kind in NEEDS[endpoint]:
        rights.require(operation, kind, segments[kind])
    # Of v1's reads the path names the topic as well.
    if "group" in segments and "topic" in segments:
        rights.require("read", "topic", segments["topic"])


def require_topics(call: Call, operation: str, topics: Iterable[str]) -> None:
    """Refuse topics that a body names, or an instance reads. Raises: TopicForbidden."""
    rights: Rights | None = call.environ.get(RIGHTS)
    if rights is not None:
        _require_topics(rights, operation, topics)


def allowed_topics(call: Call, operation: str, topics: list[str]) -> list[str]:
    """Those of the topics with which the client may do this."""
    rights: Rights | None = call.environ.get(RIGHTS)
    return topics if rights is None else [t for t in topics if rights.may(operation, "topic", t)]


def readable_topics(call: Call) -> Callable[[str], bool] | None:
    """Whether the client may read a topic, for as long as the rules say so; None: it may all."""
    rights: Rights | None = call.environ.get(RIGHTS)
    return None if rights is None else functools.partial(rights.may, "read", "topic")


def readable_guard(call: Call) -> Callable[[Iterable[str]], None] | None:
    """What refuses topics that the client may not read by then; None: it may all.

    For a read that waits: meanwhile who administers the group may have the instance read others.
    """
    rights: Rights | None = call.environ.get(RIGHTS)
    return None if rights is None else functools.partial(_require_topics, rights, "read")


def instance_of(call: Call, group: str, name: str) -> ConsumerInstance:
    """Find an instance for who may use it. Raises: InstanceNotFound, TopicForbidden."""
    found = call.clients.instances.get(group, name)
    rights: Rights | None = call.environ.get(RIGHTS)
    if rights is not None:
        rights.require_own(found.description.principal, group)
    return found


def require_reads(call: Call, instance: ConsumerInstance) -> None:
    """Refuse a read of an instance that reads what the client may not. Raises: TopicForbidden."""
    if RIGHTS in call.environ:
        owned = [place.topic for place in instance.owned]
        require_topics(call, "read", [*instance.subscription.topics, *owned])


def _require_topics(rights: Rights, operation: str, topics: Iterable[str]) -> None:
    for topic in sorted(set(topics)):
        rights.require(operation, "topic", topic)
