"""Java client properties in librdkafka's words: one table.

Those of TLS and SASL are in `java_security`.
"""

from kafka_rest.kafka import java_security
from kafka_rest.kafka.translation import (
    Translation,
    Translator,
    no_counterpart,
    quietly,
    renamed,
)

LEAST_MESSAGE_BYTES = 1000


def _kilobytes(name: str) -> Translator:
    def translate(into: Translation, key: str, value: str) -> None:
        if not value.isdigit():
            into.warnings.append(f"{key} is not a number of bytes and was left out")
            return
        into.known[name] = str(max(1, -(-int(value) // 1024)))

    return translate


def _message_bytes(into: Translation, key: str, value: str) -> None:
    if value.isdigit() and int(value) < LEAST_MESSAGE_BYTES:
        into.warnings.append(f"{key}={value} is below librdkafka's least, {LEAST_MESSAGE_BYTES}")
        value = str(LEAST_MESSAGE_BYTES)
    into.known["message.max.bytes"] = value


def _retries(into: Translation, _key: str, value: str) -> None:
    into.known["message.send.max.retries"] = value


_SERIALIZERS = ("key.serializer", "value.serializer", "key.deserializer", "value.deserializer")

TABLE: dict[str, Translator] = {
    **java_security.TABLE,
    "buffer.memory": _kilobytes("queue.buffering.max.kbytes"),
    "max.request.size": _message_bytes,
    "delivery.timeout.ms": renamed("message.timeout.ms"),
    "retries": _retries,
    "acks": renamed("acks"),
    "block.on.buffer.full": no_counterpart("see produce.timeout.ms"),
    "max.block.ms": quietly,  # see config.block_seconds
    "partitioner.class": no_counterpart("set partitioner, its default hashes as Java's does"),
    "fetch.max.wait.ms": renamed("fetch.wait.max.ms"),
    "fetch.message.max.bytes": renamed("fetch.message.max.bytes"),
    "auto.commit.enable": renamed("enable.auto.commit"),
    "queued.max.message.chunks": no_counterpart("see queued.max.messages.kbytes"),
    "max.poll.records": no_counterpart("a read is bounded by max_bytes"),
    "exclude.internal.topics": no_counterpart("a consumer names its topics"),
    "offsets.storage": no_counterpart("offsets are stored in Kafka"),
    "dual.commit.enabled": no_counterpart("offsets are stored in Kafka"),
    "default.api.timeout.ms": no_counterpart("each call has a bound of its own"),
    "interceptor.classes": no_counterpart("Java classes cannot be loaded"),
    "metrics.recording.level": no_counterpart("Java metrics do not exist here"),
    **dict.fromkeys(_SERIALIZERS, quietly),
}
