"""W3C Trace Context on its way from a request to the headers of its records.

The context is carried as it came: this server is no participant of a trace.
"""

import re
from collections.abc import Mapping
from typing import Any

from kafka_rest.core.produce import JsonRecords
from kafka_rest.records import Headers

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
MEMBERS_MAX = 32
STATE_CHARACTERS_MAX = 512
"""The length of a tracestate that everybody must carry; a longer one is not carried."""

# https://www.w3.org/TR/trace-context/: zeros are no ids, ff is no version; what a version to come
# has behind the flags is not known, and version 00 has nothing there.
_PARENT = re.compile(
    r"(?!ff)(?:00-%s|(?!00)[0-9a-f]{2}-%s(?:-[!-~]{0,200})?)\Z"
    % ((r"(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}",) * 2)
)
_KEY = r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_MEMBER = re.compile(rf"({_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]\Z")


def trace_headers(environ: Mapping[str, Any]) -> Headers:
    """The trace context of a request as record headers; none where it has no valid one.

    A tracestate goes with a valid traceparent only, and one that is no list of at most 32 different
    members is left out, as the standard says.
    """
    parent = environ.get("HTTP_TRACEPARENT", "")
    if not _PARENT.match(parent):
        return []
    found: Headers = [(TRACEPARENT, parent.encode())]
    state = environ.get("HTTP_TRACESTATE", "")
    if _valid_state(state):
        found.append((TRACESTATE, state.encode()))
    return found


def _valid_state(state: str) -> bool:
    if len(state) > STATE_CHARACTERS_MAX:
        return False
    members = [member for part in state.split(",") if (member := part.strip(" \t"))]
    keys = {found[1] for member in members if (found := _MEMBER.match(member))}
    # A key that comes twice, or a member that is none, leaves fewer keys than members.
    return 0 < len(members) <= MEMBERS_MAX and len(keys) == len(members)


def traced(records: JsonRecords, trace: Headers) -> JsonRecords:
    """The records with the trace behind their own headers.

    A record that names one of the two itself keeps what it has, and gets neither: a state of one
    trace is none of another.
    """
    if not trace:
        return records
    own = records.headers or [None] * len(records.values)
    return records._replace(headers=[_with(headers, trace) for headers in own])


def _with(headers: Headers | None, trace: Headers) -> Headers:
    if headers is None:
        return trace
    if any(name.lower() in (TRACEPARENT, TRACESTATE) for name, _ in headers):
        return headers
    return headers + trace
