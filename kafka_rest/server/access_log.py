"""The access log: a line a request, NCSA common format with the duration in ms, the request's id
and what else is known behind it; or the same as members of a JSON object.
"""

import logging
import re
import time
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from kafka_rest import settings as s
from kafka_rest.api.watching import ENDPOINT, Asked
from kafka_rest.server.logs import FIELDS, JSON, without_secrets

_PLACE = re.compile(r"(?:[^/?]+//[^/?]*)?/consumers/([^/?]+)(?:/instances/([^/?]+))?")


class AccessLog:
    """Writes to the logger that `request.logger.name` names, where `server.access.log` is on."""

    def __init__(self, settings: s.Settings) -> None:
        self.on = settings[s.SERVER_ACCESS_LOG]
        self._logger = logging.getLogger(settings[s.REQUEST_LOGGER_NAME])
        self._write = self._object if settings[s.SERVER_LOG_FORMAT] == JSON else self._line

    def write(self, asked: Asked, status: str, sent: int, error_code: int) -> None:
        """Log one answered request; a `Watcher`."""
        started = asked.started
        milliseconds = 0.0 if started is None else (time.monotonic() - started) * 1000
        self._write(asked, status.partition(" ")[0], sent, error_code, milliseconds)

    def _line(
        self, asked: Asked, status: str, sent: int, error_code: int, milliseconds: float
    ) -> None:
        environ = asked.environ
        uri = without_secrets(environ["RAW_URI"])
        more = {"request_id": asked.request_id, "error_code": error_code or None, **_place(uri)}
        self._logger.info(
            '%s - - [%s] "%s %s %s" %s %s  %.0f %s',
            asked.peer or "-",
            datetime.now().astimezone().strftime("%d/%b/%Y:%H:%M:%S %z"),
            environ["REQUEST_METHOD"],
            # Nothing ends the quotes but their end.
            uri.replace("\\", "\\x5c").replace('"', "\\x22"),
            environ["SERVER_PROTOCOL"],
            status,
            sent,
            milliseconds,
            " ".join(f"{name}={value}" for name, value in more.items() if value is not None),
        )

    def _object(
        self, asked: Asked, status: str, sent: int, error_code: int, milliseconds: float
    ) -> None:
        environ = asked.environ
        method, uri = environ["REQUEST_METHOD"], without_secrets(environ["RAW_URI"])
        place = {name: unquote(value, errors="replace") for name, value in _place(uri).items()}
        fields: dict[str, Any] = {
            "request_id": asked.request_id,
            "client": asked.peer,
            "method": method,
            "uri": uri,
            "protocol": environ["SERVER_PROTOCOL"],
            "endpoint": environ.get(ENDPOINT),
            "status": int(status),
            "bytes": sent,
            "duration_ms": round(milliseconds, 3),
            "error_code": error_code or None,
            **place,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        self._logger.info("%s %s %s", method, uri, status, extra={FIELDS: known})


def _place(uri: str) -> dict[str, str]:
    """The group and the instance that a path names, as they stand there."""
    found = _PLACE.match(uri)
    if found is None:
        return {}
    names = {"group": found[1], "instance": found[2]}
    return {name: text.replace(" ", "%20") for name, text in names.items() if text is not None}
