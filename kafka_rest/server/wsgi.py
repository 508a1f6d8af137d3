"""The application for gunicorn's own command line:

    gunicorn -c config/gunicorn.conf.py kafka_rest.server.wsgi:application

Settings come from the file that KAFKA_REST_CONFIG names and from the environment.
"""

import logging
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from kafka_rest import settings as s
from kafka_rest.server import logs
from kafka_rest.server.hooks import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@cache
def server() -> Server:
    """The server of this process tree, the same for the configuration file and the application."""
    made = Server.from_environment()
    if not logging.getLogger().handlers:
        logs.configure(made.settings[s.SERVER_LOG_FORMAT])
    return made


@cache
def _application() -> "WSGIApplication":
    return server().application()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer one request; the views are made at the first, in the worker, after the fork."""
    return _application()(environ, start_response)
