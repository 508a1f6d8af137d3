"""The shipped units, as systemd's own tools read them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kafka_rest import settings as s
from tests.systemd import PACKAGE, ROOT, UNITS, directives

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (Debian: systemd)"
)

EXPOSURE_MAX = 15
"""In tenths, as `--threshold` counts; systemd calls up to 20 well protected."""
SYSTEM_UNITS = "/usr/lib/systemd/system"
NAMES = ("kafka-rest@.service", "kafka-rest@.socket")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, timeout=60
    )


def host(folder: Path) -> Path:
    """A file system with systemd's own units, ours, and the programs that they name."""
    shutil.copytree(SYSTEM_UNITS, folder / SYSTEM_UNITS.removeprefix("/"), symlinks=True)
    units = folder / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(UNITS / name, units)
    for program in (f"{PACKAGE}/bin/kafka-rest-start", "/bin/kill"):
        path = folder / program.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", path)
    return units


def complaints(folder: Path) -> str:
    names = [name.replace("@", "@8082") for name in NAMES]
    done = analyze("verify", "--man=no", f"--root={folder}", *names)
    assert done.stderr or done.returncode == 0
    return done.stderr


def test_units_are_valid(tmp_path: Path) -> None:
    host(tmp_path)
    assert complaints(tmp_path) == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("KillMode=mixed", "KillMode=gently", "gently"),
        ("[Service]", "[Service]\nGraceful=yes", "Graceful"),
        ("/opt/kafka-rest/bin/kafka-rest-start", "/opt/elsewhere", "/opt/elsewhere"),
    ],
)
def test_mistake_in_a_unit_is_seen(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = host(tmp_path) / NAMES[0]
    path.write_text(path.read_text().replace(old, new))
    assert said in complaints(tmp_path)


def test_service_is_well_protected() -> None:
    path = str(UNITS / NAMES[0])
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", path)
    assert done.returncode == 0, done.stdout
    assert analyze("security", "--offline=true", "--threshold=5", path).returncode != 0


def test_stop_may_take_longer_than_the_server_needs() -> None:
    said = dict(directives(UNITS / NAMES[0], dict.fromkeys("itl", "8082")))
    assert int(said["TimeoutStopSec"]) * 1000 > s.load()[s.SHUTDOWN_GRACEFUL_MS]


def test_environment_of_the_service_names_settings() -> None:
    given = [
        value.split("=", 1)
        for name, value in directives(UNITS / NAMES[0], dict.fromkeys("itl", "8083"))
        if name == "Environment"
    ]
    settings = s.load(environ=dict(given))
    assert settings[s.PORT] == 8083
    assert settings.passed_through == {}
    sockets = dict(directives(UNITS / NAMES[1], dict.fromkeys("itl", "8083")))
    [listener] = s.listeners(settings)
    assert sockets["ListenStream"] == f"{listener.host}:{listener.port}"
    assert sockets["Backlog"] == str(settings[s.SERVER_BACKLOG])


def test_user_of_the_service_is_made(tmp_path: Path) -> None:
    said = dict(directives(UNITS / NAMES[0], dict.fromkeys("itl", "8082")))
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "kafka-rest.sysusers")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    [user] = (tmp_path / "etc/passwd").read_text().splitlines()
    assert user.split(":")[0] == said["User"] == said["Group"]
    assert user.endswith("nologin")


def test_page_names_files_that_are_there() -> None:
    text = (ROOT / "docs/systemd.md").read_text()
    files = re.findall(r"\bconfig/[\w/@.-]*\.\w+", text)
    assert len(set(files)) == 4
    assert [file for file in files if not (ROOT / file).is_file()] == []
