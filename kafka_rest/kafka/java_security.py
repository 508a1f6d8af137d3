"""Java's words for TLS and SASL in librdkafka's: JAAS lines, key and trust stores, token endpoints.

What cannot be translated is refused with its cure. Not for trying the result: `kafka.trial`.
"""

import re

from kafka_rest.kafka.translation import (
    Translation,
    Translator,
    no_counterpart,
    quietly,
    renamed,
)
from kafka_rest.settings.stores import TO_PKCS12, store_type, unreadable_trust

_JAAS_MODULE = re.compile(r"\s*(?:[\w$]+\.)*(\w+)\s+(?:required|requisite|sufficient|optional)\b")
_JAAS_OPTION = re.compile(
    r"""([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;]+))"""
)
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.+?)-----END \1-----", re.DOTALL)
_UNSECURED_SUBJECT = "unsecuredLoginStringClaim_sub"
_UNSECURED_LIFE = "unsecuredLoginLifetimeSeconds"
_EXTENSION = "extension_"
_JAVA_CLASSES = "Java classes cannot be loaded"
_TOKEN_HANDLER = "OAuthBearerLoginCallbackHandler"
_TOKEN_RETRIEVER = "ClientCredentialsJwtRetriever"


def _jaas(into: Translation, key: str, value: str) -> None:
    """User and password, or a token's client, out of a JAAS line."""
    module = _JAAS_MODULE.match(value)
    if module is None:
        into.refused.append(
            f'{key} cannot be used: it must be MODULE required NAME="VALUE" ...;, with the '
            "PlainLoginModule, ScramLoginModule or OAuthBearerLoginModule"
        )
        return
    options = {
        name: re.sub(r"\\(.)", r"\1", double or single or bare)
        for name, double, single, bare in _JAAS_OPTION.findall(value.partition(module[0])[2])
    }
    read = _MODULES.get(module[1])
    if read is None:
        into.refused.append(
            f"{key} cannot be used: the login module {module[1]} has no counterpart, take "
            "PlainLoginModule, ScramLoginModule or OAuthBearerLoginModule"
        )
        return
    read(into, key, options)


def _password(into: Translation, key: str, options: dict[str, str]) -> None:
    if options.get("tokenauth", "").lower() == "true":
        into.refused.append(
            f"{key} cannot be used: librdkafka has no delegation tokens (tokenauth), give the "
            "username and password of a user"
        )
    elif not options.get("username"):
        into.refused.append(f'{key} cannot be used: it has no username, add username="NAME"')
    else:
        into.known["sasl.username"] = options["username"]
        into.known["sasl.password"] = options.get("password", "")


def _token(into: Translation, key: str, options: dict[str, str]) -> None:
    if options.get("clientId"):
        into.known["sasl.oauthbearer.client.id"] = options["clientId"]
        into.known["sasl.oauthbearer.client.secret"] = options.get("clientSecret", "")
    elif _UNSECURED_SUBJECT in options:
        into.known["enable.sasl.oauthbearer.unsecure.jwt"] = "true"
        config = f"principal={options[_UNSECURED_SUBJECT]}"
        if life := options.get(_UNSECURED_LIFE):
            config += f" lifeSeconds={life}"
        into.known["sasl.oauthbearer.config"] = config
    if "scope" in options:
        into.known["sasl.oauthbearer.scope"] = options["scope"]
    extensions = [
        f"{name.removeprefix(_EXTENSION)}={value}"
        for name, value in options.items()
        if name.startswith(_EXTENSION)
    ]
    if extensions:
        into.known["sasl.oauthbearer.extensions"] = ",".join(extensions)
    if trust := options.get("ssl.truststore.location"):
        if store_type(trust, options.get("ssl.truststore.type", "")) == "PEM":
            into.known["https.ca.location"] = trust
        else:
            setting = f"{key} (ssl.truststore.location)"
            into.refused.append(unreadable_trust(setting, "https.ca.location"))


_MODULES = {
    "PlainLoginModule": _password,
    "ScramLoginModule": _password,
    "OAuthBearerLoginModule": _token,
}


def _token_endpoint(into: Translation, key: str, value: str) -> None:
    if value.lower().startswith("file:"):
        into.refused.append(
            f"{key} cannot be used: librdkafka reads no token from a file, give the URL of a token "
            "endpoint, sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret"
        )
        return
    into.known[key] = value


def _class_for(known: str) -> Translator:
    """A class that librdkafka does the work of, or none that it knows."""

    def translate(into: Translation, key: str, value: str) -> None:
        if value.rpartition(".")[2] != known:
            into.refused.append(
                f"{key} cannot be used: {_JAVA_CLASSES}; PLAIN, SCRAM and OAUTHBEARER with client "
                "credentials need none, so leave it out"
            )

    return translate


def _endpoint_identification(into: Translation, key: str, value: str) -> None:
    # Java's empty text switches the check of host names off.
    into.known[key] = value.lower() or "none"


def _pem(name: str) -> Translator:
    """PEM in the setting itself; one that came as one line gets its lines back."""

    def translate(into: Translation, _key: str, value: str) -> None:
        into.known[name] = _PEM_BLOCK.sub(_in_lines, value)

    return translate


def _in_lines(block: "re.Match[str]") -> str:
    label, content = block[1], block[2].strip()
    # What is encrypted the old way has headers, whose lines must stay as they are.
    lines = content.splitlines() if ":" in content else content.split()
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


STORE_KEYS = frozenset(
    {"ssl.truststore.type", "ssl.truststore.location", "ssl.keystore.type", "ssl.keystore.location"}
)

TABLE: dict[str, Translator] = {
    "sasl.mechanism": renamed("sasl.mechanisms"),
    "sasl.jaas.config": _jaas,
    "sasl.oauthbearer.token.endpoint.url": _token_endpoint,
    "sasl.oauthbearer.client.credentials.client.id": renamed("sasl.oauthbearer.client.id"),
    "sasl.oauthbearer.client.credentials.client.secret": renamed("sasl.oauthbearer.client.secret"),
    "sasl.oauthbearer.jwt.retriever.class": _class_for(_TOKEN_RETRIEVER),
    "sasl.login.callback.handler.class": _class_for(_TOKEN_HANDLER),
    "sasl.client.callback.handler.class": _class_for(""),
    "sasl.login.class": _class_for(""),
    **dict.fromkeys(
        [
            "sasl.login.refresh.buffer.seconds",
            "sasl.login.refresh.min.period.seconds",
            "sasl.login.refresh.window.factor",
            "sasl.login.refresh.window.jitter",
            "sasl.login.connect.timeout.ms",
            "sasl.login.read.timeout.ms",
            "sasl.login.retry.backoff.ms",
            "sasl.login.retry.backoff.max.ms",
        ],
        no_counterpart("librdkafka fetches tokens at times of its own"),
    ),
    "ssl.endpoint.identification.algorithm": _endpoint_identification,
    "ssl.truststore.certificates": _pem("ssl.ca.pem"),
    "ssl.keystore.certificate.chain": _pem("ssl.certificate.pem"),
    "ssl.keystore.key": _pem("ssl.key.pem"),
    "ssl.truststore.password": quietly,
    **dict.fromkeys(
        [
            "ssl.protocol",
            "ssl.enabled.protocols",
            "ssl.provider",
            "ssl.keymanager.algorithm",
            "ssl.trustmanager.algorithm",
            "ssl.secure.random.implementation",
        ],
        no_counterpart("OpenSSL does the work, and negotiates the protocol"),
    ),
    "ssl.engine.factory.class": _class_for(""),
    "security.providers": no_counterpart(_JAVA_CLASSES),
}


def finish(into: Translation) -> None:
    """Turn what several properties say together into what librdkafka reads.

    Reads the first bytes of key and trust stores.
    """
    _finish_stores(into)
    known = into.known
    if "sasl.oauthbearer.token.endpoint.url" in known:
        # Java has no such switch: an endpoint is there to be asked.
        known.setdefault("sasl.oauthbearer.method", "oidc")


def _finish_stores(into: Translation) -> None:
    known = into.known
    kind, location = (known.pop(f"ssl.truststore.{what}", "") for what in ("type", "location"))
    if location and store_type(location, kind) == "PEM":
        known["ssl.ca.location"] = location
    elif location:
        into.refused.append(unreadable_trust("ssl.truststore.location", "ssl.ca.location"))
    kind, location = known.pop("ssl.keystore.type", ""), known.pop("ssl.keystore.location", "")
    kind = store_type(location, kind) if location else ""
    if kind == "PEM":
        known["ssl.certificate.location"] = known["ssl.key.location"] = location
    elif kind == "PKCS12":
        known["ssl.keystore.location"] = location
    elif kind:
        into.refused.append(
            f"ssl.keystore.location cannot be used: a {kind} store cannot be read, make it PKCS12 "
            f"({TO_PKCS12}) or PEM"
        )
