"""Logging: Python's, to standard error, one event a line; gunicorn's log goes the same way."""

import logging
import sys
from typing import Any

from gunicorn.glogging import Logger

FORMAT = "[%(asctime)s] %(levelname)s %(message)s (%(name)s:%(lineno)d)"


def configure(level: int = logging.INFO) -> None:
    """Send everything to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class GunicornLogger(Logger):
    """gunicorn's logger without handlers of its own."""

    def setup(self, cfg: Any) -> None:
        """Let the root logger write what gunicorn says."""
        if not logging.getLogger().handlers:
            configure()
        self.loglevel = logging.INFO
        self.error_log.propagate = True
        self.error_log.handlers = []
        self.access_log.propagate = False
        self.access_log.handlers = []
