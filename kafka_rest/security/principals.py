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


def header_of(environ: MutableMapping[str, Any]) -> dict[str, str]:
    """The header that takes the principal along with a relayed request; {} where there is none."""
    principal = environ.get(PRINCIPAL)
    return {} if principal is None else {HEADER: quote(principal)}


def named_by(header: str) -> str:
    """The principal that the header says."""
    return unquote(header)
