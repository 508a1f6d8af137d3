"""HTTP Basic: the htpasswd file, and what is checked, remembered and bounded."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import bcrypt
import pytest

from kafka_rest.errors import NotAuthenticated, ServiceUnavailable
from kafka_rest.security import passwords
from kafka_rest.security.files import BadFile
from kafka_rest.security.passwords import Passwords, read_users
from tests.unit.fakes import FakeClock

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Check:
    """Counts what is checked; each check waits until it is let go."""

    def __init__(self) -> None:
        self.checked: list[bytes] = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        self.checked.append(password)
        self.begun.release()
        assert self.go.wait(10)
        return password == hashed


def users_of(folder: Path, text: str) -> dict[str, bytes]:
    path = folder / "htpasswd"
    path.write_text(text)
    return read_users(str(path))


def test_users_are_read(tmp_path: Path) -> None:
    # With the mark that some editors put before the first line.
    text = f"\ufeff# ours\nalice:{HASH}\n\nbob:{HASH.replace('$2b$', '$2y$')}\n"
    assert list(users_of(tmp_path, text)) == ["alice", "bob"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bob", "is not USER:HASH; add users with: htpasswd -B FILE USER"),
        (f":{HASH}", "is not USER:HASH"),
        ("bob:{SHA}planted-hash", "the password of bob is not hashed with bcrypt"),
        ("bob:$apr1$planted-hash", "set it anew with: htpasswd -B FILE bob"),
        (f"bob:{HASH}planted-hash", "not hashed with bcrypt"),
        (f"bob:{HASH.replace('$04$', '$31$')}", "not hashed with bcrypt (cost 4 to 17)"),
        (f"bob:{HASH[:28]}a{HASH[29:]}", "not hashed with bcrypt"),
        (f"alice:{HASH}", "alice is there for the second time"),
    ],
)
def test_bad_line_is_named_without_its_hash(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadFile) as failed:
        users_of(tmp_path, f"alice:{HASH}\n{line}\n")
    assert str(failed.value).startswith(f"{tmp_path}/htpasswd line 2: ")
    assert said in str(failed.value)
    assert "planted-hash" not in str(failed.value)
    assert HASH[10:] not in str(failed.value)


def test_every_hash_that_is_read_can_be_checked(tmp_path: Path) -> None:
    for version in ("2a", "2b", "2y"):
        for last in ".Oeu":
            users = users_of(tmp_path, f"a:${version}{HASH[3:28]}{last}{HASH[29:]}")
            assert not bcrypt.checkpw(b"wrong", users["a"])


def test_file_without_users_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="has no user"):
        users_of(tmp_path, "# nobody\n")


def test_bcrypt_decides() -> None:
    users = Passwords({"alice": HASH.encode()}, 4)
    assert users.principal(basic("alice", "secret")) == "alice"
    for wrong in (basic("alice", "Secret"), basic("bob", "secret"), basic("alice", "")):
        with pytest.raises(NotAuthenticated, match="wrong user or password"):
            users.principal(wrong)


def test_long_password_counts_as_htpasswd_made_its_hash() -> None:
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4))
    assert Passwords({"a": hashed}, 4).principal(basic("a", "x" * 80)) == "a"


@pytest.mark.parametrize("given", ["", "!", "YQ==", basic("\0a", "b\0"), "YQ", "ü", "//86eA=="])
def test_what_is_no_credentials_is_refused_without_a_check(given: str) -> None:
    check = Check()
    with pytest.raises(NotAuthenticated, match="cannot be decoded"):
        Passwords({"a": b"x"}, 4, check).principal(given)
    assert check.checked == []


def test_right_password_is_remembered_for_a_while() -> None:
    check, clock = Check(), FakeClock()
    users = Passwords({"a": b"x"}, 4, check, clock)
    for _ in range(3):
        assert users.principal(basic("a", "x")) == "a"
    assert len(check.checked) == 1
    clock.now += passwords.REMEMBERED_SECONDS
    assert users.principal(basic("a", "x")) == "a"
    assert len(check.checked) == 2


def test_wrong_password_is_checked_each_time_and_also_of_a_wrong_user() -> None:
    check = Check()
    users = Passwords({"a": b"x"}, 4, check)
    # The password of the user whose hash stands in for nobody's.
    for wrong in (basic("a", "y"), basic("a", "y"), basic("b", "x"), basic("b", "x")):
        with pytest.raises(NotAuthenticated):
            users.principal(wrong)
    assert check.checked == [b"y", b"y", b"x", b"x"]


def test_memory_of_right_passwords_is_bounded() -> None:
    names = [f"u{n}" for n in range(passwords.REMEMBERED + 1)]
    check = Check()
    users = Passwords(dict.fromkeys(names, b"x"), 4, check)
    for name in names:
        users.principal(basic(name, "x"))
    users.principal(basic(names[-1], "x"))
    assert len(check.checked) == len(names)
    users.principal(basic(names[0], "x"))
    assert len(check.checked) == len(names) + 1


def test_one_check_is_for_all_who_wait_for_the_same() -> None:
    check = Check()
    check.go.clear()
    users = Passwords({"a": b"x"}, 16, check)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(users.principal, basic("a", "x")) for _ in range(8)]
        assert check.begun.acquire(timeout=10)
        check.go.set()
        assert [one.result(10) for one in found] == ["a"] * 8
    assert len(check.checked) == 1


def test_flood_of_one_wrong_password_leaves_threads_too() -> None:
    check = Check()
    users = Passwords({"a": b"x"}, 8, check)
    users.principal(basic("a", "x"))
    check.go.clear()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(users.principal, basic("a", "w")) for _ in range(8)]
        # Those for whom there is no thread to wait are told at once.
        busy = list(islice(as_completed(found, 10), 2))
        assert all(isinstance(one.exception(), ServiceUnavailable) for one in busy)
        assert users.principal(basic("a", "x")) == "a"
        check.go.set()
    refused = [type(one.exception()) for one in found]
    assert refused.count(NotAuthenticated) == 6
    assert refused.count(ServiceUnavailable) == 2


def test_flood_of_wrong_passwords_leaves_threads_and_the_remembered_alone() -> None:
    check = Check()
    users = Passwords({"a": b"x"}, 8, check)
    users.principal(basic("a", "x"))
    assert check.begun.acquire(timeout=10)
    check.go.clear()
    with ThreadPoolExecutor(2) as pool:
        wrong = [pool.submit(users.principal, basic("a", f"w{n}")) for n in range(2)]
        for _ in wrong:
            assert check.begun.acquire(timeout=10)
        with pytest.raises(ServiceUnavailable, match="too many passwords") as failed:
            users.principal(basic("a", "w3"))
        assert failed.value.headers == {"Retry-After": "1"}
        assert users.principal(basic("a", "x")) == "a"
        check.go.set()
        for one in wrong:
            assert isinstance(one.exception(10), NotAuthenticated)
