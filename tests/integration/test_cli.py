"""The command line, and what it says when something is wrong."""

import http.client
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import Stack, free_port, said_until, started, wait_for

ROOT = Path(__file__).parents[2]


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kafka_rest.server.cli", *words],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environ},
    )


@pytest.mark.parametrize("words", [["--help"], ["start", "-help"], ["stop", "--help"]])
def test_help_is_there(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_bad_settings_stop_the_start_with_all_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("port=x\ndebug=maybe\n")
    done = run("start", str(path), KAFKA_REST_SERVER_WORKERS="0")
    assert done.returncode == 1
    assert {line.partition("=")[0] for line in done.stderr.splitlines()} == {
        f"{path} line 1: port",
        f"{path} line 2: debug",
        "environment KAFKA_REST_SERVER_WORKERS: server.workers",
    }
    assert "Traceback" not in done.stderr


def test_missing_file_stops_the_start() -> None:
    done = run("start", "/nowhere")
    assert done.returncode == 1
    assert "Couldn't load properties from /nowhere" in done.stderr


def test_busy_port_stops_the_start_with_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("start", "--set", f"listeners=http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} is in use")


def test_value_that_only_librdkafka_knows_to_be_wrong_stops_the_start() -> None:
    words = ["--set", f"listeners=http://127.0.0.1:{free_port()}", "--set", "producer.acks=many"]
    for command in ("start", "check-config"):
        done = run(command, *words)
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert "the producer's settings are refused" in said
        assert "acks" in said
        assert "Traceback" not in said


def test_check_config_names_mistakes_and_warnings() -> None:
    bad = run("check-config", "--set", "port=x", "--set", "debug=maybe")
    assert bad.returncode == 1
    assert bad.stdout.count("mistake: ") == 2
    good = run("check-config", "--set", "zookeeper.connect=h:1")
    assert good.returncode == 0
    assert "warning: zookeeper.connect" in good.stdout
    assert "can be used" in good.stdout


def test_settings_shows_origins_and_hides_secrets() -> None:
    done = run("settings", "--set", "port=9", KAFKA_REST_CLIENT_SASL_PASSWORD="hunter2")
    assert "= 9  [command line]" in done.stdout
    assert "[environment KAFKA_REST_CLIENT_SASL_PASSWORD]" in done.stdout
    assert "hunter2" not in done.stdout


def test_start_in_the_background_and_stop(stack: Stack, tmp_path: Path) -> None:
    port = free_port()
    words = [f"listeners=http://127.0.0.1:{port}", f"server.run.dir={tmp_path / 'run'}"]
    words += [f"bootstrap.servers={stack.bootstrap}", "server.workers=1"]
    overrides = [part for word in words for part in ("--set", word)]

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    assert run("stop", *overrides).stderr == "No running instance found.\n"
    try:
        assert run("start", "-daemon", *overrides).returncode == 0
        wait_for(answers)
    finally:
        stopped = run("stop", *overrides)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert not answers()
    again = run("stop", *overrides)
    assert (again.returncode, again.stderr) == (1, "No running instance found.\n")


def test_gunicorns_own_command_line_works(stack: Stack) -> None:
    port = free_port()
    environ = {
        **os.environ,
        "KAFKA_REST_LISTENERS": f"http://127.0.0.1:{port}",
        "KAFKA_REST_BOOTSTRAP_SERVERS": stack.bootstrap,
    }
    command = [
        "-m",
        "gunicorn",
        "-c",
        "config/gunicorn.conf.py",
        "kafka_rest.server.wsgi:application",
    ]
    with started([sys.executable, *command], env=environ, cwd=ROOT) as server:

        def topics() -> int:
            assert server.poll() is None
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", "/topics")
                return connection.getresponse().status
            except OSError:
                return 0
            finally:
                connection.close()

        said_until(server, "Server started, listening for requests...")
        wait_for(lambda: topics() == 200)
        server.terminate()
        assert server.wait(20) == 0


@pytest.mark.parametrize(
    ("script", "words", "status"),
    [
        ("kafka", [], 2),
        ("kafka", ["dance"], 2),
        ("kafka", ["start", "--port"], 2),
        ("kafka", ["status", "--name", "never-started"], 0),
        ("kafka", ["stop", "--name", "never-started"], 0),
        ("schema-registry", [], 2),
        ("schema-registry", ["dance"], 2),
    ],
)
def test_scripts_say_what_they_take(script: str, words: list[str], status: int) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / script, *words], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == status
    assert done.stdout or done.stderr


@pytest.mark.parametrize(
    ("script", "state"), [("kafka", "run/default"), ("schema-registry", "run")]
)
def test_killed_process_that_nobody_has_reaped_is_not_running(
    script: str, state: str, tmp_path: Path
) -> None:
    folder = tmp_path / script / state
    folder.mkdir(parents=True)
    killed = subprocess.Popen(["sleep", "60"])
    killed.kill()
    (folder / "pid").write_text(str(killed.pid))
    status = Path(f"/proc/{killed.pid}/status")
    wait_for(lambda: "State:\tZ" in status.read_text())
    environ = {**os.environ, "KAFKA_REST_TEST_HOME": str(tmp_path)}
    done = subprocess.run(
        [ROOT / "scripts" / script, "status"],
        capture_output=True,
        text=True,
        env=environ,
        timeout=20,
    )
    killed.wait()
    assert done.stdout == "stopped\n"


def test_script_names_what_the_machine_lacks(tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "mkdir", "sed", "head", "env", "cat", "kill"):
        source = subprocess.run(["which", tool], capture_output=True, text=True).stdout.strip()
        if source:
            (tmp_path / tool).symlink_to(source)
    environ = {"PATH": str(tmp_path), "KAFKA_REST_TEST_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [ROOT / "scripts/kafka", "start"], capture_output=True, text=True, env=environ, timeout=20
    )
    assert done.returncode == 3
    assert "Java is missing" in done.stderr
