"""Times in v2 bodies as milliseconds since the epoch."""

import re
from datetime import datetime

from kafka_rest.errors import Unprocessable

# ISO 8601 with seconds and a zone, as the reference's parser wants it.
_ISO = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z",
    re.ASCII,
)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,9})?\Z", re.ASCII)
# In seconds this is the year 5138; what is larger was meant as milliseconds.
MOST_SECONDS = 100_000_000_000
MOST_MS = 2**63 - 1
MOST_DIGITS = 19


def seek_milliseconds(value: str | float, place: str) -> int:
    """A time given in ISO 8601 or, as number or text, in seconds. Raises: Unprocessable."""
    text = str(value).strip() if isinstance(value, int | str) else f"{value:f}"
    if _NUMBER.match(text):
        whole, _, fraction = text.partition(".")
        if int(whole) > MOST_SECONDS:
            raise Unprocessable(f"{place}: a number is in seconds, this one is beyond all dates.")
        return int(whole) * 1000 + int(fraction.ljust(3, "0")[:3] or 0)
    return _iso_milliseconds(text, place, "seconds since the epoch")


def record_milliseconds(value: str | int, index: int) -> int:
    """A record's timestamp given in ISO 8601 or in milliseconds. Raises: Unprocessable."""
    place = f"records[{index}].timestamp"
    if isinstance(value, int) or (value.isascii() and value.isdigit()):
        # Python itself refuses to read thousands of digits.
        if len(str(value)) > MOST_DIGITS or not 0 <= int(value) <= MOST_MS:
            raise Unprocessable(f"{place}: milliseconds since the epoch are 0 to {MOST_MS}.")
        return int(value)
    return _iso_milliseconds(value, place, "milliseconds since the epoch")


def _iso_milliseconds(text: str, place: str, number: str) -> int:
    try:
        if not _ISO.match(text):
            raise ValueError
        seconds = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise Unprocessable(
            f"{place}: a time is ISO 8601 with seconds and a zone (2020-01-31T12:00:00Z) or "
            f"{number}, not before 1970."
        ) from None
    if seconds < 0:
        raise Unprocessable(f"{place}: a time is not before 1970.")
    return round(seconds * 1000)
