"""How an answer that comes later leaves the thread that began it, where the server can keep the
connection: the terms between the application and the server.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from kafka_rest.api.watching import Asked
from kafka_rest.records import Deadline

LANE = "kafka_rest.lane"
"""Where the server leaves, in the environ of a request that it can keep, a `Keeper`."""

Headers = tuple[tuple[str, str], ...]
Send = Callable[[str, Headers, bytes, int], None]
"""Sends an answer: status line without version, headers without Content-Length, body, and the error
code, 0 for none.
"""


class Parked(Protocol):
    """An answer under way."""

    @property
    def deadline(self) -> Deadline:
        """When it is to be expired."""
        ...

    @property
    def abandon(self) -> Callable[[], None] | None:
        """Ends it with nothing, for a client that has gone; None where that makes no difference."""
        ...

    def then(self, send: Send, asked: Asked) -> None:
        """Have the answer sent when it is there, once, here or by another thread.

        `asked`: the request that it answers.
        """
        ...

    def expire(self) -> None:
        """Bring the answer about now, with what is known."""
        ...


Again = Callable[[bytes, Mapping[str, str]], Parked]
"""Serves another request with the same head, by its body and its environ, without ever blocking.

The environ is that of the head, with the ids and trace context of the request at hand.

Whatever it raises, it raises before any effect: the request then takes the ordinary way.
"""


class Keeper(Protocol):
    """What can keep a request's connection until its answer is there."""

    def keep(self, parked: Parked, again: Again | None, environ: Mapping[str, Any]) -> None:
        """Send the answer when it comes, and serve requests with the same head by `again`, if any.

        The caller then returns an empty body, without having called start_response.
        """
        ...
