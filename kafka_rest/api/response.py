"""Answers: bodies as compact JSON, errors in the one documented shape."""

import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kafka_rest.core.pending import Pending
from kafka_rest.errors import InternalError, RestError

log = logging.getLogger(__name__)

encode = msgspec.json.encode


class Answer(msgspec.Struct, frozen=True):
    """What a view returns: a status and the JSON body, None for none.

    `media_type` where it is not the negotiated one.
    """

    body: bytes | None
    status: int = 200
    media_type: str | None = None


class Later(msgspec.Struct, frozen=True):
    """What a view returns whose answer is still under way: `render` makes it of the result.

    `again`: serves another request with the same head, by its body and environ, without ever
    blocking; it raises before any effect, WouldBlock included. None where nothing does.
    `raises`: whether the result may be one that `render` raises a RestError for.
    """

    pending: Pending[Any]
    render: Callable[[Any], Answer]
    again: "Callable[[bytes, Mapping[str, str]], Later] | None" = None
    raises: bool = False

    def wait(self) -> Answer:
        """The answer; blocks until the pending result is there, within its deadline."""
        return self.render(self.pending.wait())


NO_CONTENT = Answer(None, 204)


def rows(count: int, *columns: bytes | list[bytes]) -> bytes:
    """Texts side by side, row after row; one that is no list stands in every row."""
    if count == 1:
        return b"".join([column if isinstance(column, bytes) else column[0] for column in columns])
    width = len(columns)
    cells = [b""] * (width * count)
    for place, column in enumerate(columns):
        cells[place::width] = [column] * count if isinstance(column, bytes) else column
    return b"".join(cells)


def numbers(column: list[Any]) -> list[bytes]:
    """Each number as JSON, or null; there is at least one."""
    return encode(column)[1:-1].split(b",")


def error_body(error: RestError, debug: bool) -> bytes:
    """`{"error_code":..,"message":..}`; in debug mode with class and stack, except for 422s."""
    text = error.text
    if debug and error.status != 422:
        text = (
            f"{text} {type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"
        )
    return encode({"error_code": error.error_code, "message": text})


def rest_error(failure: Exception, request_id: str) -> RestError:
    """The failure as a REST error; one of 500 and above is logged, with the request's id.

    One that is none is logged with its stack and answered as 500.
    """
    if isinstance(failure, RestError):
        if failure.status >= 500:
            log.error(
                "request failed error_code=%d request_id=%s text=%s",
                failure.error_code,
                request_id,
                failure.text,
            )
        return failure
    log.error("request failed unexpectedly request_id=%s", request_id, exc_info=failure)
    error = InternalError()
    error.__cause__ = failure
    return error


def drop_stack(failure: BaseException) -> None:
    """Part a failure that has been rendered from what it came of, and all from their frames.

    Frames hold the request with its body. Where one of them holds the failure in turn, as those do
    that pass it on, all that would stay until the collector's next pass, hundreds of requests
    later.
    """
    left = [failure]
    while left:
        one = left.pop()
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
        one.__traceback__ = one.__cause__ = one.__context__ = None


def to_json(value: Any) -> Answer:
    """An answer of 200 with the value as JSON."""
    return Answer(encode(value))
