"""Checks across several settings; each yields the key to name and what would be valid."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kafka_rest.settings import table as t
from kafka_rest.settings.derived import client_authentication, pinned_port, tls_ports

if TYPE_CHECKING:
    from kafka_rest.settings.load import Settings

Check = Callable[["Settings"], Iterator[tuple[str, str]]]


def _pinned_ports_exist(settings: "Settings") -> Iterator[tuple[str, str]]:
    if settings[t.CONSUMER_PINNING_LISTENERS]:
        last = pinned_port(settings, settings[t.SERVER_WORKERS] - 1)
        if last > 65535:
            yield t.CONSUMER_PINNING_LISTENERS.name, "false where there is no port for each worker"


def _methods_have_their_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    methods, users, keys = (
        settings[t.AUTHENTICATION_METHOD],
        t.AUTHENTICATION_HTPASSWD_FILE,
        t.AUTHENTICATION_JWKS,
    )
    if "BASIC" in methods and not settings[users]:
        yield users.name, "the path of a file, for authentication.method BASIC"
    if "BEARER" in methods and not settings[keys]:
        yield keys.name, "the path of a file, or a URL, for authentication.method BEARER"


def _tls_has_its_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    shown = client_authentication(settings) != "NONE"
    if not tls_ports(settings):
        if shown:
            yield t.SSL_CLIENT_AUTHENTICATION.name, "NONE where no listener is https"
        return
    if not settings[t.SSL_KEYSTORE_LOCATION]:
        yield t.SSL_KEYSTORE_LOCATION.name, "the path of a PEM file, for the https listener"
    if shown and not settings[t.SSL_TRUSTSTORE_LOCATION]:
        yield t.SSL_TRUSTSTORE_LOCATION.name, "the path of a PEM file, for clients' certificates"
    if settings[t.SERVER_WORKER_CLASS] == "gthread":
        yield t.SERVER_WORKER_CLASS.name, "kafka_rest.server.worker.Worker, for the https listener"


CHECKS: tuple[Check, ...] = (_pinned_ports_exist, _methods_have_their_files, _tls_has_its_files)
