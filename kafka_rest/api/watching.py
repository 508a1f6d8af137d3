"""What those who watch the server learn of every answered request: the access log, metrics."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

ENDPOINT = "kafka_rest.endpoint"
"""Where the endpoint's name, like `api.v2.produce-to-topic.json`, stands in a request's environ.

Absent where no endpoint was found, or none could be negotiated.
"""
ERROR_CODE = "kafka_rest.error_code"
"""Where the error code of an answer stands in a request's environ, once it has been rendered."""
RELAYED = "kafka_rest.relayed"
"""Stands in the environ of a request that another worker has answered."""
STARTED = "kafka_rest.started"
"""Where the moment at which a request was begun stands in its environ (monotonic, seconds)."""


class Asked(Protocol):
    """A request that has been answered."""

    @property
    def environ(self) -> Mapping[str, Any]:
        """Its environ; of a request served by the lane only what is text."""
        ...

    @property
    def peer(self) -> str:
        """The client's address; "" where there is none."""
        ...

    @property
    def started(self) -> float | None:
        """When it was begun, by the monotonic clock in seconds; None where nothing was begun."""
        ...

    @property
    def request_id(self) -> str:
        """Its id; minted when first asked for, where the client gave none."""
        ...


Watcher = Callable[[Asked, str, int, int], None]
"""Told of a request, its status line without version, the bytes of body that were sent, and the
error code of the answer, 0 for none. On the thread that sends the answer, so never to block.
"""


def all_of(watchers: list[Watcher]) -> Watcher | None:
    """One watcher for several; None for none."""
    if len(watchers) < 2:
        return watchers[0] if watchers else None

    def tell(asked: Asked, status: str, sent: int, error_code: int) -> None:
        for watcher in watchers:
            watcher(asked, status, sent, error_code)

    return tell
