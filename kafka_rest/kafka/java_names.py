"""Java client properties in librdkafka's words: one table."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_JAAS_MODULE = re.compile(r"\s*(?:[\w$]+\.)*(\w+)\s+\w+")
_JAAS_OPTION = re.compile(
    r"""([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;]+))"""
)
_PASSWORD_MODULES = ("PlainLoginModule", "ScramLoginModule")

LEAST_MESSAGE_BYTES = 1000


@dataclass
class Translation:
    """One client's properties on their way: `known` to librdkafka, `warnings` for a person."""

    known: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


Translator = Callable[[Translation, str, str], None]


def renamed(name: str) -> Translator:
    """Another name, the same value."""

    def translate(into: Translation, _key: str, value: str) -> None:
        into.known[name] = value

    return translate


def no_counterpart(why: str) -> Translator:
    """Nothing to translate to."""

    def translate(into: Translation, key: str, _value: str) -> None:
        into.warnings.append(f"{key} has no effect: {why}")

    return translate


def _quietly(_into: Translation, _key: str, _value: str) -> None:
    """What a Java client needs and librdkafka does not."""


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


def _endpoint_identification(into: Translation, key: str, value: str) -> None:
    # Java's empty text switches the check of host names off.
    into.known[key] = value or "none"


def _store(location: str, password: str) -> Translator:
    """A key store or trust store: what its type makes of it is decided by `_finish_stores`."""

    def translate(into: Translation, _key: str, value: str) -> None:
        into.known[f"{location}{password}"] = value

    return translate


def _jaas(into: Translation, key: str, value: str) -> None:
    """User and password out of a JAAS line; the password never gets into a warning."""
    module = _JAAS_MODULE.match(value)
    options = {
        name: re.sub(r"\\(.)", r"\1", double or single or bare)
        for name, double, single, bare in _JAAS_OPTION.findall(value)
    }
    if module and module[1] in _PASSWORD_MODULES and "username" in options:
        into.known["sasl.username"] = options["username"]
        into.known["sasl.password"] = options.get("password", "")
    elif module and module[1] == "OAuthBearerLoginModule" and "clientId" in options:
        into.known["sasl.oauthbearer.method"] = "oidc"
        into.known["sasl.oauthbearer.client.id"] = options["clientId"]
        into.known["sasl.oauthbearer.client.secret"] = options.get("clientSecret", "")
        if "scope" in options:
            into.known["sasl.oauthbearer.scope"] = options["scope"]
    else:
        into.warnings.append(
            f"{key} has no effect: only the login modules for PLAIN, SCRAM and OAUTHBEARER with"
            f" clientId "
            "are understood"
        )


_SERIALIZERS = ("key.serializer", "value.serializer", "key.deserializer", "value.deserializer")

TABLE: dict[str, Translator] = {
    "sasl.mechanism": renamed("sasl.mechanisms"),
    "sasl.jaas.config": _jaas,
    "sasl.oauthbearer.token.endpoint.url": renamed("sasl.oauthbearer.token.endpoint.url"),
    "sasl.login.callback.handler.class": no_counterpart("Java classes cannot be loaded"),
    "sasl.client.callback.handler.class": no_counterpart("Java classes cannot be loaded"),
    "ssl.endpoint.identification.algorithm": _endpoint_identification,
    "ssl.truststore.certificates": renamed("ssl.ca.pem"),
    "ssl.keystore.certificate.chain": renamed("ssl.certificate.pem"),
    "ssl.keystore.key": renamed("ssl.key.pem"),
    "ssl.protocol": no_counterpart("OpenSSL negotiates the protocol"),
    "ssl.provider": no_counterpart("OpenSSL is the provider"),
    "ssl.enabled.protocols": no_counterpart("OpenSSL negotiates the protocol"),
    "ssl.truststore.password": _quietly,
    "buffer.memory": _kilobytes("queue.buffering.max.kbytes"),
    "max.request.size": _message_bytes,
    "delivery.timeout.ms": renamed("message.timeout.ms"),
    "retries": _retries,
    "acks": renamed("acks"),
    "block.on.buffer.full": no_counterpart("see produce.timeout.ms"),
    "max.block.ms": _quietly,  # see config.block_seconds
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
    **dict.fromkeys(_SERIALIZERS, _quietly),
}


def finish_stores(into: Translation) -> None:
    """Turn key and trust stores into what librdkafka reads: PEM and PKCS#12, not JKS."""
    known = into.known
    kind = known.pop("ssl.truststore.type", "JKS").upper()
    location = known.pop("ssl.truststore.location", "")
    if location and kind == "PEM":
        known["ssl.ca.location"] = location
    elif location:
        into.warnings.append(
            f"ssl.truststore.location has no effect: a {kind} store cannot be read, give PEM "
            "(ssl.truststore.type=PEM, or ssl.ca.location)"
        )
    kind = known.pop("ssl.keystore.type", "JKS").upper()
    location = known.get("ssl.keystore.location", "")
    if location and kind == "PEM":
        known["ssl.certificate.location"] = known["ssl.key.location"] = known.pop(
            "ssl.keystore.location"
        )
    elif location and kind == "JKS":
        del known["ssl.keystore.location"]
        into.warnings.append(
            "ssl.keystore.location has no effect: a JKS store cannot be read, give PEM or PKCS12"
        )


STORE_KEYS = frozenset(
    {"ssl.truststore.type", "ssl.truststore.location", "ssl.keystore.type", "ssl.keystore.location"}
)
"""Properties that are kept until `finish_stores` has seen all of them."""
