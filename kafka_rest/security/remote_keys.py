"""A JWKS behind a URL: fetched by a thread of the worker that does nothing else."""

import logging
import math
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from kafka_rest.answers import content_of
from kafka_rest.errors import ServiceUnavailable
from kafka_rest.records import Clock, Deadline
from kafka_rest.security.tokens import Claims, Client, Tokens
from kafka_rest.settings.secrets import without_credentials

log = logging.getLogger(__name__)

FETCH_SECONDS = 5.0
AGAIN_SECONDS = 10.0
"""How soon after a fetch the next may follow: one that failed, or that a new key asks for."""
MOST_BYTES = 1 << 20

Fetch = Callable[[str], str]


class RemoteKeys:
    """The newest keys that could be fetched, and when to fetch again."""

    def __init__(
        self,
        url: str,
        claims: Claims,
        refresh_seconds: float,
        fetch: Fetch | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._url, self._claims, self._refresh = url, claims, refresh_seconds
        # What the log says of it: its query may hold a secret.
        self._host = urlsplit(url).hostname or ""
        self._fetch, self._clock = fetch or _fetch, clock
        self._tokens: Tokens | None = None
        self._due = self._earliest = clock()
        # Apart from `due`, which is the fetching thread's: what others want is not lost meanwhile.
        self._wanted = math.inf

    def client(self, token: str) -> Client:
        """Who a token is for. Never blocks. Raises: NotAuthenticated, ServiceUnavailable."""
        tokens = self._tokens
        if tokens is None:
            raise ServiceUnavailable(
                f"{ServiceUnavailable.message}: the keys for tokens are not there yet. Try again.",
                {"Retry-After": "1"},
            )
        try:
            return tokens.client(token)
        except Exception:
            if not tokens.knows(token):
                # Its issuer may have new keys.
                self._wanted = self._earliest
            raise

    def want(self) -> None:
        """Have the keys fetched at the next look."""
        self._wanted = self._earliest = self._clock()

    def look(self) -> bool:
        """Fetch the keys if it is time; blocks for the fetch, within bounds. True for new ones.

        Where that fails, the keys stay as they were. For one thread.
        """
        now = self._clock()
        if now < min(self._due, self._wanted):
            return False
        self._earliest = now + AGAIN_SECONDS
        # What is wanted from here on takes another fetch.
        self._wanted = math.inf
        try:
            text = self._fetch(self._url)
            if self._tokens is not None and text == self._tokens.text:
                self._due = now + self._refresh
                return False
            tokens = Tokens(text, self._host, self._claims)
        except Exception as error:
            # Of the network or of the content; the log shows neither.
            # An error may name where it was sent on to.
            reason = without_credentials(str(error))
            log.warning("keys for tokens not fetched host=%s reason=%s", self._host, reason)
            self._due = self._earliest
            return False
        self._tokens, self._due = tokens, now + self._refresh
        return True


def _fetch(url: str) -> str:
    deadline = Deadline(FETCH_SECONDS)
    # A head that trickles in is bounded by http.client's limits of its size alone.
    with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:
        return content_of(answer, deadline, MOST_BYTES).decode()
