"""HTTP Basic: users with bcrypt hashes from an htpasswd file, and passwords checked against them.

A check is slow on purpose, so what was found right is remembered for a while, and only a few are
made at a time: a flood of wrong passwords must not take all threads of a server.
"""

import base64
import binascii
import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from kafka_rest.errors import NotAuthenticated, ServiceUnavailable
from kafka_rest.records import Clock
from kafka_rest.security.files import BadFile, lines_of

REMEMBERED = 1000
REMEMBERED_SECONDS = 300.0
AT_WORK = 2
"""Checks at a time; each takes a core for its while, and gives the interpreter free meanwhile."""
WAITING_SHARE = 0.25
"""The share of a server's threads that may make checks or wait for their turn."""
TURN_SECONDS = 5.0
# bcrypt looks at no more, and its library refuses more; htpasswd makes hashes of so much.
_PASSWORD_BYTES = 72
# The last character of the salt holds two bits: with more of them bcrypt raises at a check.
_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-7])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}\Z")
_CURE = "set authentication.htpasswd.file to a file that `htpasswd -B` has made"

Check = Callable[[bytes, bytes], bool]


def read_users(path: str) -> dict[str, bytes]:
    """The users of an htpasswd file, with their hashes. Raises: BadFile, which shows no hash."""
    users: dict[str, bytes] = {}
    for number, line in lines_of(path, _CURE):
        user, colon, hashed = line.partition(":")
        if not colon or not user:
            raise BadFile(path, number, "is not USER:HASH; add users with: htpasswd -B FILE USER")
        if not _HASH.match(hashed):
            raise BadFile(
                path,
                number,
                f"the password of {user} is not hashed with bcrypt (cost 4 to 17); "
                f"set it anew with: htpasswd -B FILE {user}",
            )
        if user in users:
            raise BadFile(path, number, f"{user} is there for the second time; remove one line")
        users[user] = hashed.encode()
    if not users:
        raise BadFile(path, 0, "has no user; add one with: htpasswd -B FILE USER")
    return users


class _Credentials(NamedTuple):
    user: str
    password: bytes


class Passwords:
    """The users of one state of the file, and what has been verified of them. Thread-safe."""

    def __init__(
        self,
        users: dict[str, bytes],
        threads: int,
        check: Check | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._users, self._clock, self._check = users, clock, check or _bcrypt_check
        # A wrong user must take as long as a wrong password.
        self._nobody = next(iter(users.values()))
        self._salt = os.urandom(16)
        self._lock = threading.Lock()
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: dict[bytes, Future[bool]] = {}
        self._most = max(AT_WORK, int(threads * WAITING_SHARE))
        # Threads that wait for a check at all, be it another's.
        self._waiting, self._waiting_most = 0, max(AT_WORK, int(threads * (1 - WAITING_SHARE)))
        self._turns = threading.BoundedSemaphore(AT_WORK)

    def principal(self, given: str) -> str:
        """The user of the credentials of an Authorization header, without its `Basic`.

        Blocks while a password is checked, some 0.1 s, and for the turn to be. Raises:
        NotAuthenticated, ServiceUnavailable where too many are being checked.
        """
        credentials = _decoded(given)
        key = hashlib.sha256(self._salt + given.encode("latin-1")).digest()
        if not (self._remembered(key) or self._is_right(key, credentials)):
            raise NotAuthenticated(f"{NotAuthenticated.message} wrong user or password.")
        return credentials.user

    def _remembered(self, key: bytes) -> bool:
        until = self._right.get(key)
        return until is not None and self._clock() < until

    def _is_right(self, key: bytes, credentials: _Credentials) -> bool:
        with self._lock:
            other = self._under_way.get(key)
            if self._waiting >= self._waiting_most:
                raise _busy()
            mine: Future[bool] = Future()
            if other is None:
                if len(self._under_way) >= self._most:
                    raise _busy()
                self._under_way[key] = mine
            self._waiting += 1
        try:
            # Many connections of one client that has just started: one check is for all of them.
            return self._own(mine, key, credentials) if other is None else self._result_of(other)
        finally:
            with self._lock:
                self._waiting -= 1

    def _own(self, mine: "Future[bool]", key: bytes, credentials: _Credentials) -> bool:
        try:
            mine.set_result(self._verify(key, credentials))
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[key]
        return mine.result()

    @staticmethod
    def _result_of(other: "Future[bool]") -> bool:
        try:
            return other.result(2 * TURN_SECONDS)
        except (TimeoutError, ServiceUnavailable):
            raise _busy() from None

    def _verify(self, key: bytes, credentials: _Credentials) -> bool:
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise _busy()
        try:
            hashed = self._users.get(credentials.user)
            right = self._check(credentials.password, hashed or self._nobody)
        finally:
            self._turns.release()
        if hashed is None or not right:
            return False
        with self._lock:
            self._right[key] = self._clock() + REMEMBERED_SECONDS
            self._right.move_to_end(key)
            while len(self._right) > REMEMBERED:
                self._right.popitem(last=False)
        return True


def _busy() -> ServiceUnavailable:
    return ServiceUnavailable(
        f"{ServiceUnavailable.message}: too many passwords are being checked. Try again.",
        {"Retry-After": "1"},
    )


def _decoded(given: str) -> _Credentials:
    try:
        data = base64.b64decode(given.strip(), validate=True)
        user, colon, password = data.partition(b":")
        name = user.decode()
    except (binascii.Error, ValueError):
        colon, name, password = b"", "", b""
    if not colon or b"\0" in password:
        raise NotAuthenticated(f"{NotAuthenticated.message} the credentials cannot be decoded.")
    return _Credentials(name, password)


def _bcrypt_check(password: bytes, hashed: bytes) -> bool:
    # Imported here: most servers have no users.
    import bcrypt

    return bcrypt.checkpw(password[:_PASSWORD_BYTES], hashed)
