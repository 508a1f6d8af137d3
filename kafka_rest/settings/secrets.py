"""What must never be shown, the one place that says so: which settings, and what of a URL."""

import re

HIDDEN = "[hidden]"
_SECRET = re.compile(
    # Misspelt keys go through to the listing as well.
    r"pass?w|pwd|passphrase|secret|jaas|user\.info|\bkey\.pem|keystore\.key|token\b|credential"
)
# Of these only the location of a secret or a way to get one is known.
_NO_SECRET = re.compile(r"\.(url|source|location|file|type|client\.id)\Z")
# To the last @: what is between may hold one, or a slash, where it is not encoded.
_USER_INFO = re.compile(r"(?<=//)[^\s\"',]*@")
# To the next blank: commas and quotes may be part of it.
_QUERY = re.compile(r"(?<=//)([^\s?]*\?)\S+")
# With an @ behind the ? it cannot be told which part is the host.
_EITHER = re.compile(r"(?<=//)[^\s\"',?]*\?[^\s\"',]*@\S*")


def is_secret(key: str) -> bool:
    """True for keys whose values are passwords, keys, tokens or the like."""
    return bool(_SECRET.search(key.lower())) and not _NO_SECRET.search(key.lower())


def shown(key: str, value: str) -> str:
    """A setting's value as it may be shown."""
    return HIDDEN if value and is_secret(key) else without_credentials(value)


def without_credentials(text: str) -> str:
    """A text without users, passwords and queries of the URLs in it, as it may be shown."""
    text = without_user_info(_EITHER.sub(HIDDEN, text))
    return _QUERY.sub(rf"\g<1>{HIDDEN}", text)


def without_user_info(text: str) -> str:
    """A text without users and passwords of the URLs in it."""
    return _USER_INFO.sub("", text)
