"""The access log: a line a request, NCSA common format with the duration in ms behind it."""

import logging
import time
from datetime import datetime

from kafka_rest import settings as s
from kafka_rest.api.watching import Asked


class AccessLog:
    """Writes to the logger that `request.logger.name` names, where `server.access.log` is on."""

    def __init__(self, settings: s.Settings) -> None:
        self.on = settings[s.SERVER_ACCESS_LOG]
        self._logger = logging.getLogger(settings[s.REQUEST_LOGGER_NAME])

    def write(self, asked: Asked, status: str, sent: int, _error_code: int) -> None:
        """Log one answered request; a `Watcher`."""
        environ, started = asked.environ, asked.started
        milliseconds = 0.0 if started is None else (time.monotonic() - started) * 1000
        self._logger.info(
            '%s - - [%s] "%s %s %s" %s %s  %.0f',
            asked.peer or "-",
            datetime.now().astimezone().strftime("%d/%b/%Y:%H:%M:%S %z"),
            environ["REQUEST_METHOD"],
            environ["RAW_URI"],
            environ["SERVER_PROTOCOL"],
            status.partition(" ")[0],
            sent,
            milliseconds,
        )
