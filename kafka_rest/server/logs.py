"""Logging: Python's, to standard error, one event a line, as text or as JSON; gunicorn's log and
librdkafka's go the same way.

Whatever a client sent: no line breaks, and no escape sequences reach a terminal.
"""

import json
import logging
import re
import sys
import time
from typing import Any

from gunicorn.glogging import Logger

FORMAT = "[%(asctime)s] %(levelname)s %(message)s (%(name)s:%(lineno)d)"
TEXT, JSON = "text", "json"
FIELDS = "kafka_rest_fields"
"""The attribute of a log record that has what a JSON line says beside its message: a dict."""

HIDDEN = "***"
QUERY_NAMES = frozenset({"async", "count", "include", "max_bytes", "offset", "timeout"})
"""The parameters whose values are written down; any other may be a secret."""

_USER = re.compile(r"\A([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?]*@")
# What gunicorn says of a request that it could not parse, up to what it quotes of it.
_INVALID = re.compile(r"\AInvalid request from ip=[^'\"]*(?=['\"])", re.DOTALL)
# Control characters, those of Latin-1 too, what some take for the end of a line, and what changes
# the direction of writing.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def configure(form: str = TEXT, level: int = logging.INFO) -> None:
    """Send everything to standard error in one form, `TEXT` or `JSON`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == JSON else TextFormatter(FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def escaped(text: str) -> str:
    """The text with what could forge a line, or trick who reads it, as `\\xNN` or `\\uNNNN`."""
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


class TextFormatter(logging.Formatter):
    """One line an event. The lines of a stack follow it, and begin with a blank."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, without stacks."""
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """The stack; its lines cannot be taken for events."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """As formatException()."""
        return _indented(super().formatStack(stack_info))


def _indented(stack: str) -> str:
    return "\n".join(f"  {escaped(line)}" for line in stack.split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ASCII, everything else as escapes; a stack is one text in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        said: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "line": record.lineno,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = record.exc_info[0].__name__
            said["stack"] = self.formatException(record.exc_info)
        return json.dumps(said, separators=(",", ":"), default=str)


def without_secrets(uri: str) -> str:
    """A request's URI without the credentials that it may hold.

    These are a user before the host, and what stands in the query but for the parameters that this
    server knows.
    """
    path, mark, query = uri.partition("?")
    if "@" in path:
        path = _USER.sub(rf"\1{HIDDEN}@", path)
    return path + mark + "&".join(map(_parameter, query.split("&")))


def _parameter(text: str) -> str:
    name, mark, _ = text.partition("=")
    if name in QUERY_NAMES or not text:
        return text
    # Without a mark it is not the name of anything.
    return f"{name}={HIDDEN}" if mark else HIDDEN


class GunicornLogger(Logger):
    """gunicorn's logger without handlers of its own, and without what may be secret."""

    def setup(self, cfg: Any) -> None:
        """Let the root logger write what gunicorn says."""
        if not logging.getLogger().handlers:
            configure()
        self.loglevel = logging.INFO
        self.error_log.propagate = True
        self.error_log.handlers = []
        self.access_log.propagate = False
        self.access_log.handlers = []

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log a warning; of a request that could not be parsed nothing is quoted."""
        invalid = _INVALID.match(str(msg))
        super().warning(invalid[0] + HIDDEN if invalid else msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log a failure with its stack, and the URI of its request without secrets."""
        shown = [without_secrets(arg) if isinstance(arg, str) else arg for arg in args]
        super().exception(msg, *shown, **kwargs)
