"""The settings of a server: `load()` them, read them by row (`settings[PORT]`).

The rows stand in `table`; this package also makes every document about them.
"""

from kafka_rest.settings.derived import (
    client_authentication,
    listeners,
    longest_read_seconds,
    pinned_port,
    thread_polls_max,
    tls_ports,
)
from kafka_rest.settings.load import Mistake, Settings, SettingsError, load, warnings
from kafka_rest.settings.table import *  # noqa: F403 - the rows are this package's vocabulary
from kafka_rest.settings.types import Listener, Setting

__all__ = [
    "Listener",
    "Mistake",
    "Setting",
    "Settings",
    "SettingsError",
    "client_authentication",
    "listeners",
    "load",
    "longest_read_seconds",
    "pinned_port",
    "thread_polls_max",
    "tls_ports",
    "warnings",
]
