"""The URL of an instance, as the client sees it."""

import pytest

from kafka_rest import settings as s
from kafka_rest.api.request import PATH, Call
from kafka_rest.kafka.registry import ClientRegistry
from kafka_rest.media import Choice, Variant


@pytest.mark.parametrize(
    ("trusted", "peer", "host"),
    [
        ("127.0.0.1", "127.0.0.1", "public"),
        ("127.0.0.1", "127.0.0.2", "own"),
        # An IPv4 client of a listener on [::].
        ("127.0.0.1", "::ffff:127.0.0.1", "public"),
        ("127.0.0.1", "::ffff:127.0.0.2", "own"),
        ("10.0.0.0/8,::1", "::ffff:10.1.2.3", "public"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "public"),
        ("127.0.0.1", "::1", "own"),
        # A Unix socket's client has no address.
        ("127.0.0.1", "", "own"),
        ("", "127.0.0.1", "own"),
    ],
)
def test_forwarded_host_is_believed_of_trusted_proxies(trusted: str, peer: str, host: str) -> None:
    clients = ClientRegistry(s.load(None, {}, [f"server.trusted.proxies={trusted}"]))
    environ = {
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "own",
        "HTTP_X_FORWARDED_HOST": "public",
        "wsgi.url_scheme": "http",
        PATH: "/consumers/g",
    }
    uri = Call(environ, clients, Choice(Variant("v2", None, ()), "")).instance_uri("i")
    assert uri == f"http://{host}/consumers/g/instances/i"
