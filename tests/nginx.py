"""The real nginx with the configuration that is shipped, before proxies of a test."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.stack import Proxy, is_listening, wait_for

SHIPPED = Path(__file__).parents[1] / "config" / "nginx" / "kafka-rest.conf"
ADDRESSES = ("10.0.0.1:8082", "10.0.0.2:8082")
STOP_SECONDS = 10

MAIN = """
daemon off;
{user}
worker_processes 2;
pid {folder}/pid;
error_log {folder}/log info;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/kafka-rest.conf;
}}
"""


def shipped(port: int, ports: tuple[int, int], by_group: bool = False) -> str:
    """The shipped file with other ports; `by_group`: with its variant, as it says to switch it on.

    Every replacement is looked for: a file that no longer has the place fails.
    """
    text = SHIPPED.read_text()
    if by_group:
        text, count = re.subn(r"(?m)^#(?=\S|  )", "", text)
        assert count > 10
        text = text.replace(
            "proxy_pass http://kafka_rest;", "proxy_pass http://$kafka_rest_upstream;"
        )
    pairs = {f"{a}": f"127.0.0.1:{p}" for a, p in zip(ADDRESSES, ports, strict=True)}
    for place, mine in (pairs | {"listen 80;": f"listen 127.0.0.1:{port};"}).items():
        assert place in text, place
        text = text.replace(place, mine)
    return text


class Nginx(Proxy):
    """nginx on a free port; asked as a proxy is."""

    def __init__(self, cluster: list[Proxy], by_group: bool = False) -> None:
        super().__init__(cluster[0].stack)
        self._text = shipped(self.port, (cluster[0].port, cluster[1].port), by_group)

    def __enter__(self) -> "Nginx":
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            assert "REQUIRE_LANES" not in os.environ, "nginx is missing"
            pytest.skip("nginx is missing (Debian: nginx-light)")
        self._folder = tempfile.TemporaryDirectory(prefix="kafka-rest-nginx-")
        folder = Path(self._folder.name)
        self.log_path = folder / "log"
        folder.joinpath("kafka-rest.conf").write_text(self._text)
        main = folder / "nginx.conf"
        # Its workers must get into the folder.
        user = "user root;" if os.getuid() == 0 else ""
        main.write_text(MAIN.format(folder=folder, user=user))
        command = [program, "-p", str(folder), "-e", str(self.log_path), "-c", str(main)]
        subprocess.run([*command, "-t", "-q"], check=True, timeout=STOP_SECONDS)
        self.process = subprocess.Popen(command, start_new_session=True)
        try:
            wait_for(lambda: is_listening(self.port), what=self.log())
        except BaseException:
            self.__exit__()
            raise
        return self
