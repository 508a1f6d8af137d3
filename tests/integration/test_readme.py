"""Every command of the README's quickstart, as printed, against the development stack.

And its answers.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import free_port, said_until, started

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def quickstart() -> list[tuple[str, str]]:
    """The commands of the README's shell blocks that name the local proxy, each with its answer."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```sh\n(.*?)```", README, re.S):
        for part in re.split(r"^(?=curl )", block, flags=re.M)[1:]:
            command, _, rest = part.partition("#=>")
            found.append((command.strip(), rest.partition("\n")[0].strip()))
    return found


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A development stack, as `make run` starts it, on another port."""
    number = free_port()
    command = [sys.executable, "-m", "kafka_rest.server.cli", "dev", "--port", str(number)]
    with started(command) as run:
        said_until(run, "Ctrl-C ends it")
        yield number


def test_quickstart_answers_as_printed(port: int) -> None:
    commands = quickstart()
    assert len(commands) == 21
    for command, answer in commands:
        local = command.replace("localhost:8082", f"localhost:{port}")
        done = subprocess.run(
            local.replace("curl ", "curl -sS "),
            shell=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        got = done.stdout.replace(f"localhost:{port}", "localhost:8082")
        assert (json.loads(got) if got else "") == (json.loads(answer) if answer else ""), command


def test_commands_named_in_the_text_exist() -> None:
    for target in re.findall(r"^    make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
    for name in ("kafka-rest-start", "kafka-rest-stop", "kafka-rest "):
        assert name in README
        assert name.strip() in (ROOT / "setup.py").read_text()


def test_make_without_a_target_prints_help() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=20)
    for target in ("install", "run", "test", "check", "bench", "clean"):
        assert re.search(rf"^{target}\s", done.stdout, re.M), target
