"""Name each answer by its request's id; WSGI middleware around all others.

What the lane answers it names itself.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from kafka_rest.api.request_ids import GIVEN, HEADER, request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Identified:
    """The middleware. An answer has the id where its client gave one, where it is an error, or
    `always`: where the id is written down.
    """

    def __init__(self, inner: "WSGIApplication", always: bool) -> None:
        self._inner, self._always = inner, always

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # A relay gives the request an id on its way.
        always = self._always or GIVEN in environ

        def answer(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], object]:
            # The answer of a worker that it was relayed to has got the id there.
            named = [(name, value) for name, value in headers if name != HEADER]
            if always or status >= "400":
                named.append((HEADER, request_id(environ)))
            return start_response(status, named, exc_info)

        return self._inner(environ, answer)
