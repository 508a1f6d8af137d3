"""The id of a request: the one that its client gave, where that is fit to be written down, or one
minted for it.
"""

import os
import re
from collections.abc import MutableMapping
from typing import Any

HEADER = "X-Request-ID"
GIVEN = "HTTP_X_REQUEST_ID"
"""Where the id that the client gave stands in a request's environ."""
REQUEST_ID = "kafka_rest.request_id"
"""Where the id of a request stands in its environ, once anyone has asked for it."""

# Nothing that a log, a header or a shell takes for more than text.
_FIT = re.compile(r"[0-9A-Za-z._:/+=@~-]{1,128}\Z")


def request_id(environ: MutableMapping[str, Any]) -> str:
    """The id of the request with this environ, which belongs to it alone: the same at every call.

    An id of a client that is longer than 128 characters, or has others than letters, digits and
    `._:/+=@~-`, is none.
    """
    found: str | None = environ.get(REQUEST_ID)
    if found is None:
        given = environ.get(GIVEN, "")
        found = environ[REQUEST_ID] = given if _FIT.match(given) else mint()
    return found


def mint() -> str:
    """An id that no other request has: 32 hexadecimal digits."""
    return os.urandom(16).hex()
