"""nginx with the configuration of deploy/, on ports of the test's own."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from .servers import missing
from .system import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
MAIN = """
{user}
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    include {site};
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx: the public side, and the way from the one service to the other."""

    url: str
    inside_url: str
    folder: Path
    certificate: Path

    def trust(self) -> ssl.SSLContext:
        """For a client that is to believe its certificate."""
        return ssl.create_default_context(cafile=self.certificate)

    @property
    def log(self) -> str:
        """Its access log."""
        return (self.folder / "access.log").read_text()


def nginx() -> str:
    """The program; without it the test is skipped."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found or missing("no nginx: apt-get install nginx-light")


def lay_out(folder: Path, site: str, others: Mapping[str, str]) -> Path:
    """Put a configuration of deploy/ into `folder` as it would stand in /etc/nginx.

    `others` says what is another here (ports, paths), by what is written there; each of them has
    to be written there. Answers where its main file is.
    """
    shutil.copytree(DEPLOY / "nginx" / "skyhold", folder / "skyhold")
    text = (DEPLOY / "nginx" / site).read_text()
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
    for here, there in others.items():
        assert here in text, f"{site} does not have {here!r}"
        text = text.replace(here, there)
    (folder / site).write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, user=user, site=site))
    return main


def complaints(main: Path) -> str:
    """What `nginx -t` says of a configuration; empty when it has nothing to say."""
    command = [nginx(), "-t", "-q", "-p", main.parent, "-c", main]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@contextmanager
def proxy(folder: Path, instances: Mapping[int, int], *, inside: int) -> Iterator[Proxy]:
    """Run nginx with the configuration of deploy/ until the end of the block.

    `instances` says where a server that deploy/ names by its port is really found, and `inside` is
    the port of the way to the flight service.
    """
    folder.mkdir()
    public, certificate = free_port(), make_certificate(folder / "tls")
    main = lay_out(folder, "skyhold.conf", others(folder, instances, public, inside))
    running = Proxy(
        f"https://localhost:{public}", f"http://127.0.0.1:{inside}", folder, certificate
    )
    with (folder / "stderr").open("wb") as file:
        process = subprocess.Popen([nginx(), "-p", folder, "-c", main], stderr=file)
    try:
        _wait(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(10)


def others(
    folder: Path, instances: Mapping[int, int], public: int, inside: int
) -> Mapping[str, str]:
    """What is not in a test as it is in production."""
    return {
        f"server 127.0.0.1:{port} ": f"server 127.0.0.1:{real} " for port, real in instances.items()
    } | {
        "listen 443 ssl": f"listen 127.0.0.1:{public} ssl",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 127.0.0.1:3080;": f"listen 127.0.0.1:{inside};",
        "skyhold.example": "localhost",
        "/etc/nginx/skyhold/tls": str(folder / "tls"),
        "/var/log/nginx/skyhold.log": str(folder / "access.log"),
    }


def make_certificate(folder: Path) -> Path:
    """A certificate for localhost, and its key beside it."""
    openssl = shutil.which("openssl") or missing("no openssl: apt-get install openssl")
    folder.mkdir()
    certificate = folder / "fullchain.pem"
    command = (
        f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
        f"-out {certificate} -keyout {folder / 'privkey.pem'}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate


def _wait(running: Proxy, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        assert process.poll() is None, (running.folder / "stderr").read_text()
        with suppress(httpx.HTTPError):
            httpx.get(running.inside_url)
            return
        time.sleep(0.05)
    raise TimeoutError((running.folder / "error.log").read_text())
