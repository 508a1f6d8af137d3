"""The schema registry's client as the settings describe it: who the proxy is there, and whom it
trusts.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kafka_rest import settings as s
from kafka_rest.kafka import config
from kafka_rest.metrics import Cells
from kafka_rest.settings.stores import TO_PKCS12, store_type, unreadable_trust

if TYPE_CHECKING:
    from kafka_rest.schemas.client import SchemaRegistryClient
    from kafka_rest.schemas.tls import TlsFiles

SASL_INHERIT, USER_INFO = "SASL_INHERIT", "USER_INFO"
_CA = (s.SCHEMA_REGISTRY_CA_LOCATION, s.SCHEMA_REGISTRY_TRUSTSTORE_LOCATION)
_CERTIFICATE = (s.SCHEMA_REGISTRY_CERTIFICATE_LOCATION, s.SCHEMA_REGISTRY_KEYSTORE_LOCATION)
_PARTS = {"ca": _CA, "certificate": _CERTIFICATE}


def registry_client(settings: s.Settings, cells: Cells | None = None) -> "SchemaRegistryClient":
    """The client. The settings must have no `registry_mistakes`."""
    # Imported here: a server without schemas is spared the HTTP client's memory, 6 MB.
    from kafka_rest.schemas.client import SchemaRegistryClient
    from kafka_rest.schemas.tls import tls_context

    urls = settings[s.SCHEMA_REGISTRY_URL]
    return SchemaRegistryClient(
        urls,
        settings[s.SCHEMA_REGISTRY_TIMEOUT_MS] / 1000,
        _user_info(settings),
        token=settings[s.SCHEMA_REGISTRY_TOKEN],
        tls=tls_context(_files(settings)) if _is_https(settings) else None,
        cells=cells,
    )


def registry_mistakes(settings: s.Settings) -> list[str]:
    """What of the settings for the schema registry cannot be used, a sentence each."""
    return [*_auth_mistakes(settings), *(_tls_mistakes(settings) if _is_https(settings) else [])]


def _auth_mistakes(settings: s.Settings) -> list[str]:
    found = []
    info, source = settings[s.SCHEMA_REGISTRY_USER_INFO], settings[s.SCHEMA_REGISTRY_AUTH_SOURCE]
    if source == USER_INFO and not info:
        found.append(
            f"{s.SCHEMA_REGISTRY_USER_INFO.name} is empty: it must be USER:PASSWORD where "
            f"{s.SCHEMA_REGISTRY_AUTH_SOURCE.name} is {USER_INFO}"
        )
    elif source == SASL_INHERIT and not _inherited(settings):
        found.append(
            f"{s.SCHEMA_REGISTRY_AUTH_SOURCE.name} is {SASL_INHERIT}, and there is no user to "
            "inherit: set client.sasl.jaas.config, or client.sasl.username and .password"
        )
    elif info and ":" not in info:
        found.append(f"{s.SCHEMA_REGISTRY_USER_INFO.name} must be USER:PASSWORD, with the colon")
    if settings[s.SCHEMA_REGISTRY_TOKEN] and _user_info(settings):
        found.append(
            f"{s.SCHEMA_REGISTRY_TOKEN.name} and basic.auth are both set for the schema "
            "registry: take one away"
        )
    return found


def _tls_mistakes(settings: s.Settings) -> list[str]:
    from kafka_rest.schemas.tls import TlsMistake, tls_context

    trust, keys = settings[s.SCHEMA_REGISTRY_TRUSTSTORE_LOCATION], _keystore(settings)
    if trust and store_type(trust, settings[s.SCHEMA_REGISTRY_TRUSTSTORE_TYPE]) != "PEM":
        name = s.SCHEMA_REGISTRY_TRUSTSTORE_LOCATION.name
        return [unreadable_trust(name, s.SCHEMA_REGISTRY_CA_LOCATION.name)]
    if keys and store_type(keys, settings[s.SCHEMA_REGISTRY_KEYSTORE_TYPE]) != "PEM":
        return [
            f"{s.SCHEMA_REGISTRY_KEYSTORE_LOCATION.name} cannot be used: only PEM can be read "
            f"there; make it PEM ({TO_PKCS12}; openssl pkcs12 -in NEW -out client.pem)"
        ]
    try:
        tls_context(_files(settings))
    except TlsMistake as mistake:
        row = next(row for row in _PARTS[mistake.part] if settings[row])
        return [f"{row.name}={settings[row]} cannot be used: {mistake}"]
    return []


def _files(settings: s.Settings) -> "TlsFiles":
    from kafka_rest.schemas.tls import TlsFiles

    store = _keystore(settings)
    return TlsFiles(
        _first(settings, *_CA),
        _first(settings, *_CERTIFICATE),
        settings[s.SCHEMA_REGISTRY_KEY_LOCATION] or store,
        _first(settings, s.SCHEMA_REGISTRY_KEY_PASSWORD, s.SCHEMA_REGISTRY_KEYSTORE_PASSWORD),
        bool(settings[s.SCHEMA_REGISTRY_ENDPOINT_IDENTIFICATION]),
    )


def _keystore(settings: s.Settings) -> str:
    return settings[s.SCHEMA_REGISTRY_KEYSTORE_LOCATION]


def _first(settings: s.Settings, *rows: "s.Setting[str]") -> str:
    return next((settings[row] for row in rows if settings[row]), "")


def _is_https(settings: s.Settings) -> bool:
    return any(urlsplit(url).scheme == "https" for url in settings[s.SCHEMA_REGISTRY_URL])


def _user_info(settings: s.Settings) -> str:
    """USER:PASSWORD for all URLs that have none of their own."""
    if settings[s.SCHEMA_REGISTRY_AUTH_SOURCE] == SASL_INHERIT:
        return _inherited(settings)
    return settings[s.SCHEMA_REGISTRY_USER_INFO]


def _inherited(settings: s.Settings) -> str:
    made = config.admin_config(settings)
    user = made.get("sasl.username")
    return f"{user}:{made.get('sasl.password', '')}" if user else ""
