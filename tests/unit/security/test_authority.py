"""The state made of an operator's files: asked, replaced as a whole, kept where a file is bad."""

import threading
from pathlib import Path

import bcrypt
import pytest

from kafka_rest import settings as s
from kafka_rest.errors import NotAuthenticated, TopicForbidden
from kafka_rest.security.authority import Authority, file_mistakes
from kafka_rest.security.files import BadFile
from kafka_rest.server.rereading import Rereader, reread
from tests.unit.security.test_passwords import HASH, basic


class Told:
    """The number that master and workers share."""

    value = 0


def settings(folder: Path, rules: str | None = None, *more: str) -> s.Settings:
    (folder / "htpasswd").write_text(f"alice:{HASH}\n")
    given = ["authentication.method=BASIC", f"authentication.htpasswd.file={folder}/htpasswd"]
    if rules is not None:
        (folder / "rules").write_text(rules)
        given.append(f"authorization.file={folder}/rules")
    return s.load(None, {}, [*given, *more])


def test_nothing_is_asked_by_default() -> None:
    authority = Authority(s.load())
    assert not authority.asked
    assert authority.client(None).principal == "ANONYMOUS"
    assert authority.rights("ANONYMOUS").may("write", "topic", "t")


@pytest.mark.parametrize("header", [None, "", "Basic", "Bearer x", f"Basic {basic('alice', 'x')}"])
def test_refusal_says_how_to_authenticate(tmp_path: Path, header: str | None) -> None:
    authority = Authority(settings(tmp_path, None, "authentication.realm=our realm"))
    with pytest.raises(NotAuthenticated) as failed:
        authority.client(header)
    assert failed.value.headers == {"WWW-Authenticate": 'Basic realm="our realm"'}
    assert (failed.value.status, failed.value.error_code) == (401, 401)


def test_scheme_is_read_in_any_case(tmp_path: Path) -> None:
    assert (
        Authority(settings(tmp_path)).client(f"bAsIc {basic('alice', 'secret')}").principal
        == "alice"
    )


def test_refusal_names_principal_operation_and_resource(tmp_path: Path) -> None:
    rights = Authority(settings(tmp_path, "alice read topic t")).rights("alice")
    rights.require("read", "topic", "t")
    with pytest.raises(TopicForbidden, match=r"^Not authorized\. alice may not write topic t\.$"):
        rights.require("write", "topic", "t")


def test_instance_is_its_makers_and_its_groups_administrators(tmp_path: Path) -> None:
    authority = Authority(settings(tmp_path, "bob admin group g\nann read group g"))
    authority.rights("alice").require_own("alice", "g")
    authority.rights("bob").require_own("alice", "g")
    with pytest.raises(TopicForbidden, match="ann has not made this consumer"):
        authority.rights("ann").require_own("alice", "g")


def test_without_rules_all_may_do_all(tmp_path: Path) -> None:
    rights = Authority(settings(tmp_path)).rights("alice")
    rights.require("write", "topic", "t")
    rights.require_own("bob", "g")


def test_rights_follow_the_newest_rules_and_bad_ones_change_nothing(tmp_path: Path) -> None:
    authority = Authority(settings(tmp_path, "alice read topic t"))
    rights = authority.rights("alice")
    (tmp_path / "rules").write_text("alice raed topic t")
    with pytest.raises(BadFile):
        authority.reload()
    assert rights.may("read", "topic", "t")
    (tmp_path / "rules").write_text("alice write topic t")
    authority.reload()
    assert not rights.may("read", "topic", "t")


def test_file_that_is_bad_at_the_start_is_one_sentence(tmp_path: Path) -> None:
    found = file_mistakes(settings(tmp_path, "alice raed topic t"))
    assert found == [
        f"{tmp_path}/rules line 1: 'raed' is no operation; valid are read, write, describe, admin"
    ]
    assert file_mistakes(settings(tmp_path, "alice read topic t")) == []


def test_workers_follow_what_the_master_has_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given, told, forgotten = settings(tmp_path, "alice read topic t"), Told(), []
    master, worker = Authority(given), Authority(given)
    rereader = Rereader(worker, told, lambda: forgotten.append(worker.version))
    rereader.look()
    (tmp_path / "rules").write_text("bad")
    reread(master, told)
    rereader.look()
    assert "the files stay as they were" in caplog.text
    assert (forgotten, worker.allows("alice", "read", "topic", "t")) == ([], True)
    (tmp_path / "rules").write_text("alice write topic t")
    reread(master, told)
    for _ in range(2):
        rereader.look()
    assert (forgotten, worker.allows("alice", "read", "topic", "t")) == ([1], False)
    # One that is made later begins with what the master has.
    assert master.version == told.value


def test_worker_reads_a_file_that_it_met_half_written_once_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given, told, forgotten = settings(tmp_path, "alice read topic t"), Told(), []
    master, worker = Authority(given), Authority(given)
    rereader = Rereader(worker, told, lambda: forgotten.append(worker.version))
    (tmp_path / "rules").write_text("alice write topic t")
    reread(master, told)
    for text in ("alice", "alice", "alice write"):
        (tmp_path / "rules").write_text(text)
        rereader.look()
        assert (forgotten, worker.allows("alice", "read", "topic", "t")) == ([], True)
    (tmp_path / "rules").write_text("alice write topic t")
    for _ in range(2):
        rereader.look()
    assert (forgotten, worker.allows("alice", "read", "topic", "t")) == ([1], False)
    # Said when it changes, not at each look.
    first, second = [line for line in caplog.messages if "stay as they were" in line]
    assert "has 1 words" in first
    assert "has 2 words" in second


class SlowKeys:
    """An authority whose keys come at once for the first time, and then not until they may."""

    version, has_remote_keys = 0, True

    def __init__(self) -> None:
        self.fetched_first = False
        self.fetching, self.may_come, self.read = (threading.Event() for _ in range(3))

    def reload(self) -> None:
        self.read.set()

    def refresh(self) -> bool:
        if self.fetched_first:
            self.fetching.set()
            self.may_come.wait(30)
        self.fetched_first = True
        return False


def test_files_are_read_while_keys_are_fetched_and_both_threads_end() -> None:
    authority, told = SlowKeys(), Told()
    before = set(threading.enumerate())
    rereader = Rereader(authority, told, lambda: None)  # type: ignore[arg-type]
    rereader.start()
    assert authority.fetched_first
    started = set(threading.enumerate()) - before
    assert authority.fetching.wait(10)
    told.value = 1
    assert authority.read.wait(10)
    authority.may_come.set()
    rereader.close()
    assert len(started) == 2
    assert not any(thread.is_alive() for thread in started)


def test_changed_password_counts_at_once(tmp_path: Path) -> None:
    authority = Authority(settings(tmp_path))
    old = f"Basic {basic('alice', 'secret')}"
    assert authority.client(old).principal == "alice"
    hashed = bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"alice:{hashed}\n")
    authority.reload()
    with pytest.raises(NotAuthenticated):
        authority.client(old)
    assert authority.client(f"Basic {basic('alice', 'new')}").principal == "alice"


def test_basic_needs_its_file() -> None:
    with pytest.raises(s.SettingsError, match=r"authentication\.htpasswd\.file.*must be the path"):
        s.load(None, {}, ["authentication.method=BASIC"])
