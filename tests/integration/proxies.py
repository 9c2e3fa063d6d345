"""
Real proxies in front of the server, with the configuration that we ship.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest

from flodgatt_tx.demo.processes import free_port
from tests.integration.site import PATIENCE, ROOT, eventually

DEPLOY = ROOT / "deploy"
PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    {upstream}
    server {{
        listen 127.0.0.1:{port};
        {location}
        location / {{ return 404; }}
    }}
}}
"""


def program(name: str) -> str:
    """Find a program of the system, or skip the test."""
    found = shutil.which(name, path=PLACES)
    if not found:
        raise SkipTest(f"{name} is not installed")
    return found


class Proxy:
    """A proxy before *nodes*, each the `HOST:PORT` or path of a server; it listens on *port*."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="flodgatt-test-"))
        self.file = self.folder / "conf"
        self.file.write_text(self.configuration(nodes))
        checked = subprocess.run(self.check(), capture_output=True, text=True, check=False)
        if checked.returncode or "warn" in checked.stderr.lower():
            raise AssertionError(checked.stderr + checked.stdout)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        eventually(self._listens, "the proxy listens")

    def configuration(self, nodes: Sequence[str]) -> str:
        """Write what we ship, for these nodes."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """How to start it."""
        raise NotImplementedError

    def check(self) -> list[str]:
        """How to check the configuration."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Nginx(Proxy):
    """nginx with `deploy/nginx`."""

    def configuration(self, nodes: Sequence[str]) -> str:
        """Put the nodes in the place of the one that is there."""
        upstream = (DEPLOY / "nginx" / "upstream.conf").read_text()
        lines = "".join(f"    server {node} max_fails=1 fail_timeout=5s;\n" for node in nodes)
        upstream, count = re.subn(r"(?m)^    server .*\n", lines, upstream)
        if count != 1:
            raise AssertionError(f"{count} servers in upstream.conf")
        location = (DEPLOY / "nginx" / "location.conf").read_text()
        return _NGINX.format(
            folder=self.folder, port=self.port, upstream=upstream, location=location
        )

    def command(self) -> list[str]:
        """How to start it."""
        return [program("nginx"), "-p", str(self.folder), "-c", str(self.file)]

    def check(self) -> list[str]:
        """How to check the configuration."""
        return [*self.command(), "-t", "-q"]


class HAProxy(Proxy):
    """HAProxy with `deploy/haproxy`."""

    def configuration(self, nodes: Sequence[str]) -> str:
        """Put the nodes in the place of the one that is there."""
        text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        lines = "".join(f"    server node{at} {node} check\n" for at, node in enumerate(nodes))
        text, count = re.subn(r"(?m)^    server .*\n", lines, text)
        if count != 1:
            raise AssertionError(f"{count} servers in haproxy.cfg")
        # As many as this machine lets a process have.
        text = text.replace("maxconn 100000", "maxconn 2000")
        return text.replace("bind 127.0.0.1:8080", f"bind 127.0.0.1:{self.port}")

    def command(self) -> list[str]:
        """How to start it."""
        return [program("haproxy"), "-db", "-f", str(self.file)]

    def check(self) -> list[str]:
        """How to check the configuration."""
        return [program("haproxy"), "-c", "-q", "-f", str(self.file)]
