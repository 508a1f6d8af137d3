"""The authorization file: what its lines allow, and what a bad one says."""

from pathlib import Path

import pytest

from kafka_rest.security.files import BadFile
from kafka_rest.security.rules import Rules


def rules(folder: Path, text: str) -> Rules:
    path = folder / "rules"
    path.write_text(text)
    return Rules(str(path))


TEXT = """
# who       what        of what
alice       read,write  topic   web-*
alice       read        group   web
bob         write       topic   *
"CN=ann,O=Acme Inc"  admin group "my group"   # a note
*           describe    topic   open
"""

ALLOWED = [
    ("alice", "read", "topic", "web-1"),
    ("alice", "describe", "topic", "web-"),
    ("alice", "read", "group", "web"),
    ("alice", "describe", "topic", "open"),
    ("bob", "write", "topic", "anything"),
    ("CN=ann,O=Acme Inc", "admin", "group", "my group"),
    ("CN=ann,O=Acme Inc", "describe", "group", "my group"),
]
REFUSED = [
    ("alice", "read", "topic", "web"),
    ("alice", "read", "topic", "Web-1"),
    ("alice", "admin", "topic", "web-1"),
    ("alice", "read", "group", "web-1"),
    ("alice", "read", "topic", "open"),
    ("bob", "read", "topic", "anything"),
    ("CN=ann,O=Acme Inc", "read", "group", "my group"),
    ("ANONYMOUS", "describe", "topic", "open"),
    ("*", "read", "topic", "web-1"),
]


@pytest.mark.parametrize("asked", ALLOWED)
def test_line_allows(tmp_path: Path, asked: tuple[str, str, str, str]) -> None:
    assert rules(tmp_path, TEXT).allow(*asked)


@pytest.mark.parametrize("asked", REFUSED)
def test_what_no_line_allows_is_refused(tmp_path: Path, asked: tuple[str, str, str, str]) -> None:
    assert not rules(tmp_path, TEXT).allow(*asked)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("CN=x\\,OU=admin,O=A", "CN=x\\,OU=admin,O=A"),
        ('"CN=x\\,y z,O=A"', "CN=x\\,y z,O=A"),
        ('"CN=x\\\\,O=A"', "CN=x\\\\,O=A"),
        ("'CN=the \\\"x\\\",O=A'", 'CN=the \\"x\\",O=A'),
        ("g#1", "g#1"),
        ('"#1"', "#1"),
        ('"a b"#1', "a b#1"),
        ("""a' b'"'c" """, "a b'c"),
        ('""', ""),
    ],
)
@pytest.mark.parametrize("note", ["", " # a note", "\t#'a note"])
def test_word_is_what_stands_there(tmp_path: Path, word: str, meant: str, note: str) -> None:
    found = rules(tmp_path, f"{word} read group g{note}\nshop read group {word}{note}")
    assert found.allow(meant, "read", "group", "g")
    assert found.allow("shop", "read", "group", meant)


def test_empty_file_allows_nothing(tmp_path: Path) -> None:
    assert not rules(tmp_path, "").allow("alice", "describe", "topic", "t")


def test_anonymous_may_be_named(tmp_path: Path) -> None:
    found = rules(tmp_path, "ANONYMOUS read topic open")
    assert found.allow("ANONYMOUS", "read", "topic", "open")
    assert not found.allow("alice", "read", "topic", "open")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("alice read topic", "has 3 words; a line is PRINCIPAL OPERATIONS topic|group PATTERN"),
        ("alice read topic a b", "has 5 words"),
        ("alice raed topic a", "'raed' is no operation; valid are read, write, describe, admin"),
        ("alice read,,write topic a", "'' is no operation"),
        ("alice read topics a", "'topics' is neither topic nor group"),
        ("alice read topic a*b", "a*b: a * may only stand at the end"),
        ('alice read topic "a', "a quote is not closed"),
        ("alice read topic o'neill", "a quote is not closed"),
        ("my\\ group read topic a", "has 5 words"),
        ("alice read topic # a", "has 3 words"),
    ],
)
def test_bad_line_is_named_with_its_cure(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadFile) as failed:
        rules(tmp_path, f"# fine\nbob read topic x\n{line}\n")
    assert str(failed.value).startswith(f"{tmp_path}/rules line 3: ")
    assert said in str(failed.value)


def test_file_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"none: cannot be read \(No such file.*authorization.file"):
        Rules(str(tmp_path / "none"))


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_bytes(b"\xff")
    with pytest.raises(BadFile, match="is not UTF-8"):
        Rules(str(path))


def test_mark_of_an_editor_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert rules(tmp_path, "\ufeffalice read topic a").allow("alice", "read", "topic", "a")
