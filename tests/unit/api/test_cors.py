"""Cross-origin headers beside clients who have to say who they are."""

import pytest

from kafka_rest import settings as s
from kafka_rest.api.cors import headers

CREDENTIALS = "Access-Control-Allow-Credentials"
PREFLIGHT = {
    "REQUEST_METHOD": "OPTIONS",
    "HTTP_ORIGIN": "http://a",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET",
}
KNOWN = ["authentication.method=BASIC", "authentication.htpasswd.file=/users"]


@pytest.mark.parametrize(
    ("origins", "who", "lends", "may_tell"),
    [
        ("*", [], True, False),
        ("*", KNOWN, False, True),
        ("http://a", KNOWN, True, True),
        ("http://b, *", KNOWN, False, True),
    ],
)
def test_page_of_any_origin_gets_no_credentials_of_a_browser(
    origins: str, who: list[str], lends: bool, may_tell: bool
) -> None:
    settings = s.load(overrides=[f"access.control.allow.origin={origins}", *who])
    answer = headers(settings, PREFLIGHT)
    assert answer["Access-Control-Allow-Origin"] == "http://a"
    assert answer.get(CREDENTIALS) == ("true" if lends else None)
    assert ("Authorization" in answer["Access-Control-Allow-Headers"]) == may_tell
