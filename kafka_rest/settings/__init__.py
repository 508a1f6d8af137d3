"""The settings of a server: `load()` them, read them by row (`settings[PORT]`).

The rows stand in `table`; this package also makes every document about them.
"""

from kafka_rest.settings.derived import (
    Cluster,
    client_authentication,
    clients_are_known,
    cluster,
    listeners,
    longest_read_seconds,
    management_ports,
    pinned_port,
    thread_polls_max,
    tls_ports,
)
from kafka_rest.settings.load import Mistake, Settings, SettingsError, load, warnings
from kafka_rest.settings.table import *  # noqa: F403 - the rows are this package's vocabulary
from kafka_rest.settings.types import Listener, Peer, Setting

__all__ = [
    "Cluster",
    "Listener",
    "Mistake",
    "Peer",
    "Setting",
    "Settings",
    "SettingsError",
    "client_authentication",
    "clients_are_known",
    "cluster",
    "listeners",
    "load",
    "longest_read_seconds",
    "management_ports",
    "pinned_port",
    "thread_polls_max",
    "tls_ports",
    "warnings",
]
