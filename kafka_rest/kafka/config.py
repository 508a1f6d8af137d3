"""Settings as configuration for librdkafka's clients.

Precedence, rising: our defaults, keys without a prefix (v1 of the reference hands them to producers
and consumers), `client.*`, then `producer.*`, `consumer.*` or `admin.*`, then what must not be
changed.
"""

from typing import Any

from kafka_rest import settings as s
from kafka_rest.kafka import java_names, java_security, librdkafka
from kafka_rest.kafka.translation import Translation

# Defaults that differ from librdkafka's or the Java client's on purpose.
_SHARED_DEFAULTS: dict[str, Any] = {
    "client.id": "kafka-rest",
    "socket.keepalive.enable": True,
    # A broker that comes back is found within a second, not ten.
    "reconnect.backoff.max.ms": 1000,
    # What a client measures for the brokers takes as much memory as an idle consumer without it,
    # 0.3 MB.
    "enable.metrics.push": False,
}
_PRODUCER_DEFAULTS: dict[str, Any] = {
    "acks": "all",
    # A lone record leaves at once; a busy producer batches while requests are under way.
    "linger.ms": 0,
    # Without it records without a key go to partitions one by one and never share a batch.
    "sticky.partitioning.linger.ms": 10,
    # Java's partitioner: librdkafka's own would send keys elsewhere.
    "partitioner": "murmur2_random",
    # librdkafka would take 1 GB before it says that it is full.
    "queue.buffering.max.kbytes": 131072,
    "queue.buffering.max.messages": 500_000,
}
_CONSUMER_DEFAULTS: dict[str, Any] = {
    "auto.offset.reset": "largest",
    "enable.auto.commit": False,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
    "topic.metadata.refresh.interval.ms": 30_000,
    # 64 MB of prefetch for each of many consumers is too much; 8 MB still feed reads of 1 MB.
    # Of small records each costs librdkafka some 400 bytes more, which that limit does not count.
    # The least count is that of each partition, and the next fetch, of up to 1 MB, comes on top.
    "queued.max.messages.kbytes": 8_192,
    "queued.min.messages": 5_000,
    "fetch.max.bytes": 8_388_608,
    # Records wake a waiting fetch. But a partition that joins later than the others of its
    # broker waits
    # for two fetches to end: with librdkafka's 500 ms a first read could miss it.
    "fetch.wait.max.ms": 100,
    # By default a consumer whose queue was full looks again after a second.
    "fetch.queue.backoff.ms": 20,
}
# Nobody polls these clients for their log, and what they fail at is told to whoever asked.
_ADMIN_DEFAULTS: dict[str, Any] = {"log_level": 0}
# What is handed out is stored, nothing else; an end of a partition is no event for a group's
# reader.
_CONSUMER_FORCED: dict[str, Any] = {
    "enable.auto.offset.store": False,
    "enable.partition.eof": False,
}
_LONGEST_MS = 2**31 - 1
KINDS = ("producer", "consumer", "admin")
PLAINTEXT = "PLAINTEXT"
_SECURITY = ("security.", "sasl.")
_SECURED = (*_SECURITY, "ssl.", "https.", "enable.s")
LEAST_MATCH_SECONDS = 1.0


def producer_config(settings: s.Settings) -> dict[str, Any]:
    """The producer's configuration."""
    config = _PRODUCER_DEFAULTS | {"message.timeout.ms": settings[s.PRODUCE_TIMEOUT_MS]}
    if settings[s.METRICS_ENABLE]:
        config["statistics.interval.ms"] = settings[s.METRICS_STATISTICS_INTERVAL_MS]
    config |= _translated(settings, "producer").known
    # A record written after its request was answered as failed would be a lie: never longer than
    # it.
    longest = settings[s.PRODUCE_TIMEOUT_MS]
    config["message.timeout.ms"] = min(int(config["message.timeout.ms"]) or _LONGEST_MS, longest)
    return _common(settings) | config


def consumer_config(settings: s.Settings) -> dict[str, Any]:
    """A consumer's configuration, without its group."""
    config = _CONSUMER_DEFAULTS | _translated(settings, "consumer").known
    if config.get("group.protocol") == "consumer":
        # librdkafka refuses these beside the new protocol, where the broker decides them.
        for name in (
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "partition.assignment.strategy",
        ):
            config.pop(name, None)
    return _common(settings) | config | _CONSUMER_FORCED


def admin_config(settings: s.Settings) -> dict[str, Any]:
    """The configuration of the clients that look things up."""
    return _ADMIN_DEFAULTS | _common(settings) | _translated(settings, "admin").known


def without_debug(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a client that nobody polls for its log: librdkafka would write it past
    ours, with the credentials of URLs in it.
    """
    return {key: value for key, value in config.items() if key != "debug"}


def wants_debug(settings: s.Settings) -> bool:
    """Whether the settings tell librdkafka to say what it does."""
    made = (producer_config(settings), consumer_config(settings), admin_config(settings))
    return any("debug" in config for config in made)


def same_security(settings: s.Settings) -> bool:
    """Whether the producer and the client that looks things up are the same to Kafka."""
    producer, admin = (
        {key: value for key, value in made.items() if key.startswith(_SECURED)}
        for made in (producer_config(settings), admin_config(settings))
    )
    return producer == admin


def default_offset_reset(settings: s.Settings) -> str:
    """Where a consumer starts that does not say it."""
    return str(consumer_config(settings)["auto.offset.reset"])


def default_auto_commit(settings: s.Settings) -> bool | None:
    """Whether a consumer commits by itself that does not say it; None where no setting does."""
    value = _translated(settings, "consumer").known.get("enable.auto.commit")
    return None if value is None else str(value).lower() == "true"


def match_seconds(settings: s.Settings) -> float:
    """How often topics are matched with the patterns of subscriptions: as metadata is refreshed."""
    refresh_ms = int(consumer_config(settings)["topic.metadata.refresh.interval.ms"])
    return max(refresh_ms / 1000, LEAST_MATCH_SECONDS)


def block_seconds(settings: s.Settings) -> float:
    """How long a produce call may wait for its topic and for room in the queue: Java's
    `max.block.ms` where it is set, else `metadata.timeout.ms`.
    """
    passed = settings.passed_through
    for key in ("producer.max.block.ms", "client.max.block.ms", "max.block.ms"):
        if passed.get(key, "").isdigit():
            return int(passed[key]) / 1000
    return settings[s.METADATA_TIMEOUT_MS] / 1000


def translation_warnings(settings: s.Settings) -> list[str]:
    """What could not be translated, each once; for the log of the start."""
    found: dict[str, None] = {
        f"{key} is not for the client that looks topics up: set client.{key}": None
        for key in settings.passed_through
        if key.startswith(_SECURITY)
    }
    for kind in KINDS:
        translated = _translated(settings, kind)
        found |= dict.fromkeys(translated.warnings)
        if not _is_secured(settings, translated):
            found |= dict.fromkeys(translated.refused)
    return list(found)


def translation_mistakes(settings: s.Settings) -> list[str]:
    """What of the settings for secured connections cannot be used, each once, with its cure."""
    found: dict[str, None] = {}
    for kind in KINDS:
        translated = _translated(settings, kind)
        if _is_secured(settings, translated):
            found |= dict.fromkeys(translated.refused)
    return list(found)


def _is_secured(settings: s.Settings, translated: Translation) -> bool:
    protocol = (_common(settings) | translated.known).get("security.protocol", PLAINTEXT)
    return str(protocol).upper() != PLAINTEXT


def _common(settings: s.Settings) -> dict[str, Any]:
    servers = settings[s.BOOTSTRAP_SERVERS]
    protocols = {server.partition("://")[0].upper() for server in servers if "://" in server}
    config = _SHARED_DEFAULTS | {
        "bootstrap.servers": ",".join(server.rpartition("://")[2] for server in servers)
    }
    if protocols and protocols != {PLAINTEXT}:
        config["security.protocol"] = sorted(protocols - {PLAINTEXT})[0]
    return config


def _translated(settings: s.Settings, kind: str) -> Translation:
    """The user's properties for one kind of client, in librdkafka's words."""
    into = Translation()
    own = {"producer": librdkafka.PRODUCER, "consumer": librdkafka.CONSUMER}.get(kind, frozenset())
    others = (librdkafka.PRODUCER | librdkafka.CONSUMER) - own
    passed = settings.passed_through
    prefixes = ("client.", "producer.", "consumer.", "admin.")
    # An unprefixed key may as well be a typing error or of another program: only known ones go
    # through.
    plain = {k: v for k, v in passed.items() if not k.startswith(prefixes) and kind != "admin"}
    for key, value in plain.items():
        if key in java_names.TABLE or key in librdkafka.SHARED | own:
            _take(into, key, value, others, quiet=key in others)
    for prefix in ("client.", f"{kind}."):
        for key, value in passed.items():
            if key.startswith(prefix):
                _take(into, key.removeprefix(prefix), value, others, quiet=prefix == "client.")
    java_security.finish(into)
    # A Java name may stand for a property of the other kind of client.
    into.known = {k: v for k, v in into.known.items() if k in librdkafka.SHARED | own}
    return into


def _take(into: Translation, key: str, value: str, others: frozenset[str], quiet: bool) -> None:
    translator = java_names.TABLE.get(key)
    if translator is not None:
        translator(into, key, value)
    elif (
        key in librdkafka.SHARED | librdkafka.PRODUCER | librdkafka.CONSUMER
        or key in java_security.STORE_KEYS
    ):
        if key not in others or not quiet:
            into.known[key] = value
    else:
        into.warnings.append(f"{key} has no effect: librdkafka has no such property")
