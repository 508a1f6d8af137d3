"""The command line: start and stop the server, look at its settings, run the development stack."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import click
from gunicorn.app.base import BaseApplication

from kafka_rest import __version__
from kafka_rest import settings as s
from kafka_rest.kafka.config import translation_warnings
from kafka_rest.kafka.schema_access import registry_mistakes
from kafka_rest.kafka.trial import client_mistakes
from kafka_rest.security.authority import file_mistakes
from kafka_rest.server import hooks, logs, systemd
from kafka_rest.server.listeners import run_dir
from kafka_rest.settings import documents

LOG_FILE = "kafka-rest.log"
STOP_POLL_SECONDS = 0.1
STOP_MARGIN_SECONDS = 5.0

settings_file = click.argument("file", required=False)
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting; wins over all others.",
)


class _Gunicorn(BaseApplication):
    """gunicorn, run by us with our settings."""

    def __init__(self, server: hooks.Server) -> None:
        self._server = server
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings over."""
        for name, value in self._server.options().items():
            self.cfg.set(name, value)

    def load(self) -> object:
        """The application, made in each worker."""
        return self._server.application()


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Kafka REST Proxy."""


@main.command("start")
@settings_file
@overrides
@click.option("-daemon", "--daemon", "background", is_flag=True, help="Go on in the background.")
@click.version_option(__version__)
@click.help_option("-help", "--help")
def start(file: str | None, overrides: tuple[str, ...], background: bool) -> None:
    """Start the proxy with the settings of FILE, a Java properties file.

    Settings come from FILE, from variables KAFKA_REST_..., and from --set, which win in this order.
    """
    settings = _load(file, overrides)
    problems = [
        _busy(settings),
        *file_mistakes(settings),
        *client_mistakes(settings),
        *registry_mistakes(settings),
    ]
    if any(problems):
        _fail("\n".join(filter(None, problems)))
    if background:
        _start_in_background(file, overrides, settings)
        return
    logs.configure(settings[s.SERVER_LOG_FORMAT])
    try:
        server = hooks.Server(settings)
        # gunicorn reads its own command line and variables unless there are none.
        sys.argv = sys.argv[:1]
        os.environ.pop("GUNICORN_CMD_ARGS", None)
        _Gunicorn(server).run()
    except RuntimeError as error:
        _fail(str(error))


@main.command("stop")
@settings_file
@overrides
@click.help_option("-help", "--help")
def stop(file: str | None, overrides: tuple[str, ...]) -> None:
    """Stop the proxy that was started with the same settings, and wait until it is gone."""
    settings = _load(file, overrides)
    pid = _running_pid(settings)
    if pid is None:
        _fail("No running instance found.")
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + settings[s.SHUTDOWN_GRACEFUL_MS] / 1000 + STOP_MARGIN_SECONDS
    while _alive(pid):
        if time.monotonic() > end:
            _fail(f"Tried to kill {pid} but never saw it die")
        time.sleep(STOP_POLL_SECONDS)


@main.command("settings")
@settings_file
@overrides
@click.option("--markdown", is_flag=True, help="Print the page docs/settings.md instead.")
@click.option("--properties", is_flag=True, help="Print the shipped properties file instead.")
def show_settings(
    file: str | None, overrides: tuple[str, ...], markdown: bool, properties: bool
) -> None:
    """Print every setting with its value and where it came from; secrets are hidden."""
    if markdown or properties:
        click.echo(documents.markdown() if markdown else documents.properties_file(), nl=False)
    else:
        click.echo(documents.listing(_load(file, overrides)))


@main.command("check-config")
@settings_file
@overrides
def check_config(file: str | None, overrides: tuple[str, ...]) -> None:
    """Name all mistakes in the settings at once; exit with 1 if there are any."""
    mistakes, warnings = documents.problems(file, os.environ, overrides)
    if not mistakes:
        settings = _load(file, overrides)
        warnings += translation_warnings(settings)
        mistakes += file_mistakes(settings)
        mistakes += client_mistakes(settings) + registry_mistakes(settings)
    for warning in warnings:
        click.echo(f"warning: {warning}")
    for mistake in mistakes:
        click.echo(f"mistake: {mistake}")
    if mistakes:
        sys.exit(1)
    click.echo("The settings can be used.")


@main.command("dev")
@click.option("--port", default=8082, show_default=True, help="The proxy's port.")
@click.option("--broker-port", default=0, help="The broker's port; 0 takes any.")
@click.option("--registry-port", default=0, help="The schema registry's port; 0 takes any.")
@overrides
def dev(port: int, broker_port: int, registry_port: int, overrides: tuple[str, ...]) -> None:
    """Run the proxy with an embedded broker and schema registry, for trying it out."""
    # Imported here: a production server needs none of it.
    from kafka_rest.devstack.stack import run

    overrides = (f"listeners=http://0.0.0.0:{port}", *overrides)
    # Whoever has the port would answer in the proxy's place.
    if problem := _busy(_load(None, overrides)):
        _fail(problem)
    logs.configure()
    sys.exit(run(port, broker_port, registry_port, overrides))


def _load(file: str | None, overrides: tuple[str, ...]) -> s.Settings:
    try:
        return s.load(file, os.environ, overrides)
    except s.SettingsError as error:
        _fail("\n".join(str(mistake) for mistake in error.mistakes))


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)


def _busy(settings: s.Settings) -> str:
    """A sentence on the first listener that cannot be had, "" if all can."""
    own = [] if systemd.hands_over_sockets() else s.listeners(settings)
    if not own and (wrong := systemd.wrong_sockets({one.port for one in s.listeners(settings)})):
        return wrong
    for listener in (*own, *settings[s.MANAGEMENT_LISTENERS]):
        family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((listener.host, listener.port))
            except OSError as error:
                where = f"{listener.host}:{listener.port}"
                if error.errno == errno.EADDRINUSE:
                    return f"Port {listener.port} is in use: another program listens on {where}."
                return f"Cannot listen on {where}: {error.strerror}."
    return ""


def _start_in_background(
    file: str | None, overrides: tuple[str, ...], settings: s.Settings
) -> None:
    """Start again without a terminal; what it says goes to a file in the server's folder."""
    command = [sys.executable, "-m", "kafka_rest.server.cli", "start"]
    command += [file] if file else []
    command += [word for override in overrides for word in ("--set", override)]
    path = Path(run_dir(settings), LOG_FILE)
    with path.open("ab") as said:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    click.echo(f"Starting in the background; its log is {path}")


def _running_pid(settings: s.Settings) -> int | None:
    path = Path(run_dir(settings), hooks.PID_FILE)
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return pid if _alive(pid) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
