"""The access log: a line a request, NCSA common format with the duration in ms behind it."""

import logging
import time
from datetime import datetime
from typing import Any

from kafka_rest import settings as s


class AccessLog:
    """Writes to the logger that `request.logger.name` names, where `server.access.log` is on."""

    def __init__(self, settings: s.Settings) -> None:
        self._on = settings[s.SERVER_ACCESS_LOG]
        self._logger = logging.getLogger(settings[s.REQUEST_LOGGER_NAME])

    def write(self, request: Any, environ: Any, answer: Any) -> None:
        """Log one answered request (gunicorn's objects)."""
        if not self._on:
            return
        started = environ.get("kafka_rest.started")
        milliseconds = 0.0 if started is None else (time.monotonic() - started) * 1000
        self._logger.info(
            '%s - - [%s] "%s %s HTTP/%d.%d" %s %s  %.0f',
            environ.get("REMOTE_ADDR", "-") or "-",
            datetime.now().astimezone().strftime("%d/%b/%Y:%H:%M:%S %z"),
            environ["REQUEST_METHOD"],
            environ["RAW_URI"],
            *request.version,
            str(answer.status).partition(" ")[0],
            answer.sent or 0,
            milliseconds,
        )
