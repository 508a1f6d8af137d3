import argparse

import pytest

from tests.performance.servers import Server, parse_against, with_pids


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("http://h:1", Server("h:1", "http://h:1")),
        ("http://h:1/=7", Server("h:1", "http://h:1", 7)),
        ("java=http://h:1", Server("java", "http://h:1")),
        ("java=http://h:1=7", Server("java", "http://h:1", 7)),
    ],
)
def test_another_proxy_is_named_in_a_word(text: str, server: Server) -> None:
    assert parse_against(text) == server


@pytest.mark.parametrize("text", ["", "java", "java=h:1", "https://h", "http://", "a=http://h=x"])
def test_what_names_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=URL"):
        parse_against(text)


def test_pids_go_in_order_to_those_without_one() -> None:
    a, b, c = (Server(name, "http://h") for name in "abc")
    found = with_pids([a, b._replace(pid=2), c], [1, 3])
    assert [server.pid for server in found] == [1, 2, 3]
    assert with_pids([a, b], [1]) == [a._replace(pid=1), b]


def test_a_pid_too_many_or_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="more --against-pid"):
        with_pids([], [1])
    with pytest.raises(ValueError, match="same name"):
        with_pids([Server("a", "http://h"), Server("a", "http://i")], [])
    with pytest.raises(ValueError, match="same name"):
        with_pids([Server("echo", "http://h")], [])
