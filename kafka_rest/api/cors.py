"""Cross-origin headers, as the settings `access.control.allow.*` say.

Empty origins switch them off.
"""

from collections.abc import Mapping
from typing import Any

from kafka_rest import settings as s

# With origins set and no methods the reference refuses every preflight, by accident.
DEFAULT_METHODS = "GET,POST,HEAD,DELETE,OPTIONS"
ALLOWED_HEADERS = "X-Requested-With,Content-Type,Accept,Origin"
MAX_AGE_SECONDS = "1800"


def headers(settings: s.Settings, environ: Mapping[str, Any]) -> dict[str, str]:
    """The headers to add to an answer: {} unless the request's Origin (and method) is allowed."""
    allowed = _listed(settings[s.ACCESS_CONTROL_ALLOW_ORIGIN])
    origin = environ.get("HTTP_ORIGIN")
    if not allowed or not origin:
        return {}
    if "*" not in allowed and origin not in allowed:
        return {"Vary": "Origin"}
    answer = {"Access-Control-Allow-Origin": str(origin), "Vary": "Origin"}
    known = s.clients_are_known(settings)
    if not (known and "*" in allowed):
        # Any page could use the password or certificate that a browser has for this server.
        answer["Access-Control-Allow-Credentials"] = "true"
    wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
    if environ["REQUEST_METHOD"] != "OPTIONS" or not wanted:
        return answer
    methods = settings[s.ACCESS_CONTROL_ALLOW_METHODS] or DEFAULT_METHODS
    if wanted not in _listed(methods):
        return {"Vary": "Origin"}
    return answer | {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": ALLOWED_HEADERS + (",Authorization" if known else ""),
        "Access-Control-Max-Age": MAX_AGE_SECONDS,
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
