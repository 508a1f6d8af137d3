"""What the operator's files say about clients, as one state that is replaced as a whole.

A file that cannot be used leaves the state as it was. Who asks sees the newest state; what was
decided by an older one and remembered elsewhere is for whoever calls `reload` to have forgotten.
"""

import ssl
from typing import NamedTuple

from kafka_rest import settings as s
from kafka_rest.errors import NotAuthenticated, TopicForbidden, because
from kafka_rest.security.certificates import server_context
from kafka_rest.security.files import BadFile
from kafka_rest.security.passwords import Passwords, read_users
from kafka_rest.security.principals import ANONYMOUS
from kafka_rest.security.remote_keys import RemoteKeys
from kafka_rest.security.rules import Rules
from kafka_rest.security.tokens import Claims, Client, Tokens, tokens_from

REALM = "kafka-rest"


class _State(NamedTuple):
    passwords: Passwords | None
    rules: Rules | None
    context: ssl.SSLContext | None
    tokens: Tokens | None


class Authority:
    """The state of one process, read when it is made. Thread-safe.

    Raises: BadFile.
    """

    def __init__(self, settings: s.Settings) -> None:
        self._settings = settings
        # How often the master has had it read again; inherited by the workers that it forks.
        self.version = 0
        self._methods = settings[s.AUTHENTICATION_METHOD]
        self._realm = (settings[s.AUTHENTICATION_REALM] or REALM).replace('"', "'")
        keys = settings[s.AUTHENTICATION_JWKS] if "BEARER" in self._methods else ""
        remote = keys.lower().startswith(("http://", "https://"))
        self._key_file = "" if remote else keys
        self._remote = (
            RemoteKeys(keys, _claims(settings), settings[s.AUTHENTICATION_JWKS_REFRESH_MS] / 1000)
            if remote
            else None
        )
        self._shown = s.client_authentication(settings)
        self._state = self._read()

    @property
    def asked(self) -> bool:
        """Whether requests have to be looked at: their client, or what it may do."""
        rules, rate = self._settings[s.AUTHORIZATION_FILE], self._settings[s.REQUEST_RATE_MAX]
        return bool(s.clients_are_known(self._settings) or rules or rate)

    @property
    def has_files(self) -> bool:
        """Whether there is anything to read again."""
        # With clients that show certificates there is a context.
        return bool(
            self._methods or self._settings[s.AUTHORIZATION_FILE] or self._state.context is not None
        )

    @property
    def has_remote_keys(self) -> bool:
        """Whether there are keys behind a URL, for `refresh` to fetch."""
        return self._remote is not None

    @property
    def context(self) -> ssl.SSLContext:
        """What a new connection to an https listener speaks TLS with; there has to be one."""
        assert self._state.context is not None
        return self._state.context

    def reload(self) -> None:
        """Read all files again. Blocks for the disk. Raises: BadFile; then nothing has changed."""
        self._state = self._read()
        if self._remote is not None:
            self._remote.want()

    def refresh(self) -> bool:
        """Fetch keys behind a URL, if it is time; blocks within bounds. True if they are others.

        To be called now and then, by one thread that does nothing that others wait for.
        """
        return self._remote is not None and self._remote.look()

    def client(self, authorization: str | None, subject: str | None = None) -> Client:
        """Who the client is, by its Authorization header, else by its certificate's subject.

        May block while a password is checked. Raises: NotAuthenticated, ServiceUnavailable.
        """
        scheme, _, given = (authorization or "").partition(" ")
        try:
            if scheme.lower() == "basic" and self._state.passwords is not None:
                return Client(self._state.passwords.principal(given))
            tokens = self._remote or self._state.tokens
            if scheme.lower() == "bearer" and tokens is not None:
                return tokens.client(given.strip())
            if subject is not None:
                return Client(subject)
            if not self._methods and self._shown != "REQUIRED":
                return Client(ANONYMOUS)
            raise NotAuthenticated(f"{NotAuthenticated.message} {self._wanted} needed.")
        except NotAuthenticated as error:
            if self._methods:
                error.headers.update({"WWW-Authenticate": self._challenge})
            raise

    def rights(self, principal: str) -> "Rights":
        """What the principal may do."""
        return Rights(self, principal)

    def allows(self, principal: str, operation: str, kind: str, name: str) -> bool | None:
        """Whether the rules allow this now; None where there are no rules."""
        rules = self._state.rules
        return None if rules is None else rules.allow(principal, operation, kind, name)

    @property
    def _wanted(self) -> str:
        known = " or ".join(method.capitalize() for method in self._methods)
        return f"{known} credentials are" if known else "a client certificate is"

    @property
    def _challenge(self) -> str:
        return ", ".join(f'{m.capitalize()} realm="{self._realm}"' for m in self._methods)

    def _read(self) -> _State:
        users = self._settings[s.AUTHENTICATION_HTPASSWD_FILE]
        rules = self._settings[s.AUTHORIZATION_FILE]
        threads = self._settings[s.SERVER_THREADS]
        return _State(
            Passwords(read_users(users), threads) if "BASIC" in self._methods else None,
            Rules(rules) if rules else None,
            server_context(self._settings),
            tokens_from(self._key_file, _claims(self._settings)) if self._key_file else None,
        )


def _claims(settings: s.Settings) -> Claims:
    return Claims(
        settings[s.AUTHENTICATION_JWT_ALGORITHMS],
        settings[s.AUTHENTICATION_JWT_AUDIENCE],
        settings[s.AUTHENTICATION_JWT_ISSUER],
        settings[s.AUTHENTICATION_JWT_PRINCIPAL_CLAIM],
        settings[s.AUTHENTICATION_JWT_LEEWAY_MS] / 1000,
    )


def file_mistakes(settings: s.Settings) -> list[str]:
    """What is wrong with the files that the settings name; [] for nothing."""
    try:
        Authority(settings)
    except BadFile as error:
        return [str(error)]
    return []


class Rights:
    """What one client may do, by the rules as they are whenever it is asked."""

    __slots__ = ("_authority", "principal")

    def __init__(self, authority: Authority, principal: str) -> None:
        self._authority, self.principal = authority, principal

    def may(self, operation: str, kind: str, name: str) -> bool:
        """Whether this is allowed."""
        return self._authority.allows(self.principal, operation, kind, name) is not False

    def require(self, operation: str, kind: str, name: str) -> None:
        """Raises: TopicForbidden, naming principal, operation and resource, unless allowed."""
        if not self.may(operation, kind, name):
            raise because(TopicForbidden, f"{self.principal} may not {operation} {kind} {name}.")

    def require_own(self, maker: str, group: str) -> None:
        """Refuse an instance that another principal has made, but to who administers its group.

        Without rules nobody is refused. Raises: TopicForbidden.
        """
        if maker != self.principal and not self.may("admin", "group", group):
            raise because(
                TopicForbidden,
                f"{self.principal} has not made this consumer and may not admin group {group}.",
            )
