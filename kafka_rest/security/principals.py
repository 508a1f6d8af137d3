"""The names of clients, and how one travels from the worker that asked for it to the one that
serves the request.
"""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote, unquote

PRINCIPAL = "kafka_rest.principal"
"""Where the name of the client stands in a request's environ; absent where nobody asks for it."""
ANONYMOUS = "ANONYMOUS"
"""Who has not said who they are, where they need not."""
HEADER = "X-Kafka-Rest-Principal"
_VARIABLE = "HTTP_X_KAFKA_REST_PRINCIPAL"


def header_of(environ: MutableMapping[str, Any]) -> dict[str, str]:
    """The header that takes the principal along with a relayed request; {} where there is none."""
    principal = environ.get(PRINCIPAL)
    return {} if principal is None else {HEADER: quote(principal)}


def take_principal(environ: MutableMapping[str, Any], trusted: bool) -> str | None:
    """Remove that header from a request, and make what it says the request's principal.

    `trusted`: the request came from another worker (or proxy) that has shown that it is one. From
    anybody else the header says nothing: None.
    """
    said = environ.pop(_VARIABLE, None)
    if not trusted or said is None:
        return None
    environ[PRINCIPAL] = unquote(said)
    return unquote(said)
