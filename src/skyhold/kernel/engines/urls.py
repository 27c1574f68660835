"""From a database's address to its engine and driver."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from skyhold.kernel.settings import SettingsError

from .engine import Engine
from .hosts import ENCODED, Host, joined, split
from .mysql import MySQL
from .postgresql import PostgreSQL
from .sqlite import SQLite

_ENGINES: dict[str, tuple[str, Callable[[tuple[Host, ...]], Engine]]] = {
    "sqlite": ("sqlite+aiosqlite", lambda _: SQLite()),
    "mysql": ("mysql+asyncmy", MySQL),
    "mariadb": ("mysql+asyncmy", MySQL),
    "postgresql": ("postgresql+asyncpg", PostgreSQL),
    "postgres": ("postgresql+asyncpg", PostgreSQL),
}


def shown(url: str) -> str:
    """The address for people to read, without its password."""
    parsed = engine_for(url)[0].set(drivername=url.partition(":")[0])
    return joined(parsed.render_as_string(), split(url)[1])


def engine_for(url: str) -> tuple[URL, Engine]:
    """The address with this project's driver, and the engine. Raises SettingsError.

    Of several hosts the address has the first, and the engine knows them all.
    """
    url, hosts = split(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The address itself is not repeated: it may hold a password.
        msg = (
            "The database's URL cannot be read; it should look like sqlite:///path/to/file, "
            "mysql://user:password@host/name or postgresql://user:password@host/name."
        )
        raise SettingsError(msg) from None
    kind = parsed.drivername.partition("+")[0]
    if kind not in _ENGINES:
        msg = f"{kind} is not supported: use sqlite://, mysql:// or postgresql://."
        raise SettingsError(msg)
    driver, engine = _ENGINES[kind]
    if kind == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        msg = "A SQLite database needs a file: sqlite:///path/to/file."
        raise SettingsError(msg)
    if kind != "sqlite" and not parsed.database:
        msg = f"The database's URL names no database: {kind}://user:password@host/name."
        raise SettingsError(msg)
    if kind != "sqlite" and "@" in f"{parsed.host}{parsed.database}":
        msg = f"The database's URL has more than one @. {ENCODED}"
        raise SettingsError(msg)
    return parsed.set(drivername=driver), engine(hosts)
