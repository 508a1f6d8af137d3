"""The packages: built from the tree, installed into a clean environment, and run from there."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kafka_rest import __version__
from kafka_rest.settings import documents
from tests.containers import copied
from tests.stack import Stack, free_port, said_until, started

ROOT = Path(__file__).parents[2]
STEP_SECONDS = 300
"""The longest that pip may take for a step."""
IMPORT_ALL = """
import importlib, pkgutil, kafka_rest
for found in pkgutil.walk_packages(kafka_rest.__path__, "kafka_rest."):
    importlib.import_module(found.name)
print(kafka_rest.__file__)
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and what it depends on, and nothing else."""

    home: Path
    sdist: Path

    def run(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run one of its programs, away from the tree."""
        return subprocess.run(
            [self.home / "bin" / program, *words],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home,
        )


@pytest.fixture(scope="module")
def installed(lane: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    if lane == "kafka":
        pytest.skip("the packages are the same in every lane")
    folder = tmp_path_factory.mktemp("packages")
    tree, made, home = folder / "tree", folder / "made", folder / "home"
    tree.mkdir()
    # From what the image is built from, so that this is tried too.
    for name in copied():
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree)
    # Makes the sdist, and the wheel from it.
    _python(sys.executable, "-m", "build", "--outdir", str(made), str(tree))
    _python(sys.executable, "-m", "venv", str(home))
    [wheel], [sdist] = made.glob("*.whl"), made.glob("*.tar.gz")
    _python(home / "bin/python", "-m", "pip", "install", "--quiet", str(wheel))
    yield Installed(home, sdist)
    shutil.rmtree(folder)


def _python(program: str | Path, *words: str) -> None:
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=STEP_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program", ["kafka-rest", "kafka-rest-start", "kafka-rest-stop"])
def test_programs_say_what_they_take(installed: Installed, program: str) -> None:
    done = installed.run(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {program}")


@pytest.mark.parametrize("program", ["kafka-rest", "kafka-rest-start"])
def test_programs_know_their_version(installed: Installed, program: str) -> None:
    assert installed.run(program, "--version").stdout == f"{program}, version {__version__}\n"
    shown = installed.run("pip", "show", "kafka-rest").stdout
    assert f"Version: {__version__}\n" in shown


def test_every_module_finds_what_it_imports(installed: Installed) -> None:
    done = installed.run("python", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.home)
    assert installed.run("pip", "check").returncode == 0


def test_configuration_files_are_installed_as_they_are(installed: Installed) -> None:
    shared = installed.home / "share/kafka-rest"
    files = [path for path in (ROOT / "config").rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        copy = shared / path.relative_to(ROOT / "config")
        assert copy.read_bytes() == path.read_bytes()
    printed = installed.run("kafka-rest", "settings", "--properties").stdout
    assert printed == documents.properties_file()


def test_source_package_has_documents_and_no_tests(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "docs/settings.md", "kafka_rest/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests", ".", "build"))]


def test_server_runs_from_the_package(installed: Installed, stack: Stack) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "KAFKA_REST_LISTENERS": f"http://127.0.0.1:{free_port()}",
        "KAFKA_REST_SERVER_RUN_DIR": str(installed.home / "run"),
        "KAFKA_REST_BOOTSTRAP_SERVERS": stack.bootstrap,
    }
    command = [str(installed.home / "bin/kafka-rest-start")]
    with started(command, env=environ, cwd=installed.home) as server:
        said_until(server, "Server started, listening for requests...")
        server.terminate()
        assert server.wait(20) == 0
