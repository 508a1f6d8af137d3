"""Which endpoints a server keeps closed, by `api.endpoints.allowlist` and `.blocklist`."""

from typing import NamedTuple

from kafka_rest.errors import MethodNotAllowed, NotFound


class Doors(NamedTuple):
    """Names of endpoints, or of all of a kind (`api.v2.consumers.*`); an empty list of the allowed
    ones allows all.
    """

    allowed: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()

    @property
    def some_are_closed(self) -> bool:
        """True where either list is set."""
        return bool(self.allowed or self.blocked)

    def require_open(self, name: str, method: str) -> None:
        """Refuse a closed endpoint as if it were not there: 404 for a GET, else 405.

        Raises: NotFound, MethodNotAllowed.
        """
        names = {name, f"{name.rpartition('.')[0]}.*"}
        if (self.allowed and self.allowed.isdisjoint(names)) or not self.blocked.isdisjoint(names):
            raise NotFound if method == "GET" else MethodNotAllowed
