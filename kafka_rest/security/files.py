"""The files of an operator that say who may do what, read line by line."""

from collections.abc import Iterator
from pathlib import Path


class BadFile(RuntimeError):
    """A file cannot be used; the text is one sentence with file, line and cure."""

    def __init__(self, path: str, line: int, what: str) -> None:
        place = f"{path} line {line}" if line else path
        super().__init__(f"{place}: {what}")


def text_of(path: str, cure: str, binary: str = "is not UTF-8; save it as UTF-8") -> str:
    """All of a text file. `binary` says what to do with one that is none. Raises: BadFile."""
    try:
        # Some editors put a mark before the first line, which would be part of its first name.
        return Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise BadFile(path, 0, f"cannot be read ({error.strerror}); {cure}") from error
    except UnicodeDecodeError as error:
        raise BadFile(path, 0, binary) from error


def lines_of(path: str, cure: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers. Raises: BadFile."""
    for number, line in enumerate(text_of(path, cure).splitlines(), 1):
        said = line.strip()
        if said and not said.startswith("#"):
            yield number, said
