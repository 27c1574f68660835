"""Several hosts of one database, as people write them: `a:3306,b:3306,[::1]:3307,c`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skyhold.kernel.settings import SettingsError

PORT_MAX = 65_535
# The account as SQLAlchemy reads it, so that both agree on where the hosts begin.
_URL = re.compile(
    r"(?P<before>[\w+]+://(?:[^:/]*(?::[^@]*)?@)?)(?P<hosts>[^/?]*)(?P<after>.*)", re.DOTALL
)
_HOST = re.compile(r"(?P<name>\[[^\[\]@\s]+\]|[^\[\]:@\s]+)(?::(?P<port>.*))?", re.DOTALL)
ENCODED = "In a password @ is written %40, : %3A, / %2F and a comma %2C."
_EXAMPLE = f"it should look like mysql://user:password@a:3306,b:3306,c/name. {ENCODED}"


@dataclass(frozen=True, slots=True)
class Host:
    """One server; without a port its engine's own."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


def split(url: str) -> tuple[str, tuple[Host, ...]]:
    """The URL with its first host alone, and all hosts in their order; none where there is one.

    Raises SettingsError. Its sentence counts the hosts and repeats none: a password with an @ in
    it may have been taken for one.
    """
    parts = _URL.fullmatch(url)
    if parts is None or "," not in parts["hosts"]:
        return url, ()
    hosts = tuple(_host(n, text) for n, text in enumerate(parts["hosts"].split(","), start=1))
    return f"{parts['before']}{hosts[0]}{parts['after']}", hosts


def joined(url: str, hosts: tuple[Host, ...]) -> str:
    """The URL of one host with all of them in its place."""
    parts = _URL.fullmatch(url)
    if parts is None or not hosts:
        return url
    return f"{parts['before']}{','.join(map(str, hosts))}{parts['after']}"


def _host(number: int, text: str) -> Host:
    which = f"Host {number} in the database's URL"
    if not text.strip():
        msg = f"{which} is empty; {_EXAMPLE}"
        raise SettingsError(msg)
    parts = _HOST.fullmatch(text.strip())
    if parts is None:
        msg = f"{which} cannot be read; {_EXAMPLE}"
        raise SettingsError(msg)
    name, port = parts["name"].strip("[]"), parts["port"]
    if port is None:
        return Host(name)
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= PORT_MAX:
        msg = f"The port of host {number} in the database's URL is not a port number; {_EXAMPLE}"
        raise SettingsError(msg)
    return Host(name, int(port))
