"""The engines: their addresses, and which settings of a server are not safe."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from skyhold.kernel.db import Database
from skyhold.kernel.engines import engine_for, mysql, servers
from skyhold.kernel.engines.hosts import Host, joined
from skyhold.kernel.engines.mysql import MySQL
from skyhold.kernel.engines.postgresql import PostgreSQL
from skyhold.kernel.engines.sqlite import SQLite
from skyhold.kernel.settings import SettingsError
from support.databases import SERVER_ENGINES, fresh_database, require
from support.system import eventually, free_port

# --- addresses -------------------------------------------------------------------------------

ADDRESSES = {
    "sqlite:////srv/sky.db": ("sqlite+aiosqlite:////srv/sky.db", SQLite),
    "mysql://u:p@h/sky": ("mysql+asyncmy://u:p@h/sky", MySQL),
    "mysql+pymysql://u@h:3307/sky?charset=utf8": (
        "mysql+asyncmy://u@h:3307/sky?charset=utf8",
        MySQL,
    ),
    "mariadb://u@h/sky": ("mysql+asyncmy://u@h/sky", MySQL),
    "postgresql://u:p%40@h/sky": ("postgresql+asyncpg://u:p%40@h/sky", PostgreSQL),
    "postgresql+psycopg2://h/sky": ("postgresql+asyncpg://h/sky", PostgreSQL),
    "postgres://h/sky": ("postgresql+asyncpg://h/sky", PostgreSQL),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_names_its_engine_whatever_driver_it_asks_for(url):
    parsed, engine = engine_for(url)
    found = parsed.render_as_string(hide_password=False), type(engine)
    assert found == ADDRESSES[url]


@pytest.mark.parametrize(
    "url",
    [
        "mssql://ada:hunter2@db.internal/skyhold",
        "mssql+aioodbc://ada:hunter2@db.internal/skyhold",
        "oracle://ada:hunter2@db.internal/skyhold",
        "mongodb://ada:hunter2@db.internal/skyhold",
    ],
)
def test_a_database_that_is_not_supported_is_refused_in_a_clear_sentence(url):
    with pytest.raises(SettingsError) as refusal:
        Database(url)
    sentence = str(refusal.value)
    assert sentence.startswith(url.partition(":")[0].partition("+")[0] + " is not supported")
    assert "postgresql://" in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize("url", ["", "hunter2", "mysql//ada:hunter2@db.internal"])
def test_what_is_no_address_of_a_database_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError, match="cannot be read") as refusal:
        Database(url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url):
    with pytest.raises(SettingsError, match="needs a file"):
        Database(url)


@pytest.mark.parametrize("url", ["mysql://ada:hunter2@h", "postgresql://ada:hunter2@h/"])
def test_a_server_without_a_database_is_refused(url):
    with pytest.raises(SettingsError, match="names no database") as refusal:
        Database(url)
    assert "hunter2" not in str(refusal.value)


# --- sessions --------------------------------------------------------------------------------

SESSION = {
    "mariadb": {
        "writer": {
            "@@tx_isolation": "READ-COMMITTED",
            "@@tx_read_only": 0,
            "@@innodb_snapshot_isolation": 1,
            "@@autocommit": 0,
            "@@time_zone": "+00:00",
            "@@innodb_lock_wait_timeout": 2,
            "@@lock_wait_timeout": 2,
            "@@max_statement_time": 3.5,
            "@@character_set_connection": "utf8mb4",
        },
        "reader": {"@@tx_isolation": "REPEATABLE-READ", "@@tx_read_only": 1},
    },
    "postgresql": {
        "writer": {
            "current_setting('transaction_isolation')": "read committed",
            "current_setting('transaction_read_only')": "off",
            "current_setting('timezone')": "UTC",
            "current_setting('lock_timeout')": "2s",
            "current_setting('statement_timeout')": "3500ms",
            "current_setting('idle_in_transaction_session_timeout')": "3500ms",
            "current_setting('application_name')": "skyhold",
        },
        "reader": {
            "current_setting('transaction_isolation')": "repeatable read",
            "current_setting('transaction_read_only')": "on",
        },
    },
}


@pytest.mark.parametrize("engine", SESSION)
async def test_every_session_is_configured_as_the_protocol_asks(engine, server_database):
    db = Database(server_database(engine), wait_s=2.0, statement_s=3.5)

    async def asked(tx, wanted):
        return {name: await tx.scalar(text(f"SELECT {name}")) for name in wanted}

    wanted = SESSION[engine]
    for _ in range(2):  # also when the connection is used again
        writer = await db.transact(lambda tx: asked(tx, wanted["writer"]))
        async with db.read() as tx:
            reader = await asked(tx, wanted["reader"])
        assert {"writer": writer, "reader": reader} == wanted
    if engine == "mariadb":
        mode = await db.transact(lambda tx: tx.scalar(text("SELECT @@sql_mode")))
        assert "STRICT_TRANS_TABLES" in mode
    await db.close()


@pytest.fixture
def server_database(tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda engine: stack.enter_context(fresh_database(engine, tmp_path))


async def test_who_waits_too_long_for_another_migration_says_so(server_database, monkeypatch):
    """GET_LOCK tells by its answer, not by an error, that it was not had."""
    monkeypatch.setattr(mysql, "MIGRATION_WAIT_S", 0)
    url = server_database("mariadb")
    other, db = Database(url), Database(url)
    lock = text("SELECT GET_LOCK('the schema', 0)")
    assert await other.transact(lambda tx: tx.scalar(lock)) == 1
    with pytest.raises(SettingsError, match="Another process has been migrating"):
        await db.run_sync(lambda _: None, lock="the schema")
    await other.close()
    await db.run_sync(lambda _: None, lock="the schema")
    await db.close()


# --- settings that are not safe --------------------------------------------------------------


@pytest.mark.parametrize("engine", SERVER_ENGINES)
async def test_a_running_server_is_asked_and_each_finding_is_told(engine, server_database, logged):
    db = Database(server_database(engine))
    unsafe = await db.check_settings()
    told = [line for line in logged if line["event"] == "db.unsafe"]
    assert [line["setting"] for line in told] == [found.setting for found in unsafe]
    assert all(line["log_level"] == "warning" for line in told)
    for found in unsafe:
        assert found.value not in found.wanted.split(" or ")
    await db.close()


async def test_sqlite_has_nothing_to_be_asked(tmp_path, logged):
    db = Database(f"sqlite:///{tmp_path / 'safe.db'}")
    assert await db.check_settings() == []
    assert logged == []
    await db.close()


class Answers:
    """A connection to a server that has these settings."""

    def __init__(self, **settings):
        self.settings = settings

    def execute(self, statement):
        asked = str(statement)
        return [(name, value) for name, value in self.settings.items() if f"'{name}'" in asked]

    def scalar(self, statement):
        return self.settings[str(statement).removeprefix("SHOW ")]


MYSQL_SAFE = {
    "innodb_flush_log_at_trx_commit": "1",
    "innodb_doublewrite": "ON",
    "innodb_force_recovery": "0",
    "read_only": "OFF",
    "log_bin": "ON",
    "sync_binlog": "1",
}
POSTGRESQL_SAFE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "server_encoding": "UTF8",
    "default_transaction_read_only": "off",
}
CHANGES = [
    (MySQL, MYSQL_SAFE, {"innodb_flush_log_at_trx_commit": "2"}),
    (MySQL, MYSQL_SAFE, {"innodb_flush_log_at_trx_commit": "0"}),
    (MySQL, MYSQL_SAFE, {"innodb_doublewrite": "OFF"}),
    (MySQL, MYSQL_SAFE, {"innodb_force_recovery": "3"}),
    (MySQL, MYSQL_SAFE, {"read_only": "ON"}),
    (MySQL, MYSQL_SAFE, {"sync_binlog": "0"}),
    (MySQL, MYSQL_SAFE, {"sync_binlog": "1000"}),
    (PostgreSQL, POSTGRESQL_SAFE, {"fsync": "off"}),
    (PostgreSQL, POSTGRESQL_SAFE, {"full_page_writes": "off"}),
    (PostgreSQL, POSTGRESQL_SAFE, {"synchronous_commit": "off"}),
    (PostgreSQL, POSTGRESQL_SAFE, {"synchronous_commit": "local"}),
    (PostgreSQL, POSTGRESQL_SAFE, {"server_encoding": "LATIN1"}),
    (PostgreSQL, POSTGRESQL_SAFE, {"default_transaction_read_only": "on"}),
]


@pytest.mark.parametrize(("engine", "safe", "change"), CHANGES, ids=str)
def test_each_setting_that_breaks_a_promise_is_named(engine, safe, change):
    assert engine().unsafe(Answers(**safe)) == []
    (found,) = engine().unsafe(Answers(**safe | change))
    assert {found.setting: found.value} == change
    assert safe[found.setting] in found.wanted.split(" or ")
    assert len(found.because.split()) > 3


@pytest.mark.parametrize(
    ("engine", "safe", "change"),
    [
        (MySQL, MYSQL_SAFE, {"log_bin": "OFF", "sync_binlog": "0"}),
        (MySQL, MYSQL_SAFE, {"innodb_doublewrite": "1", "read_only": "0"}),
        (PostgreSQL, POSTGRESQL_SAFE, {"synchronous_commit": "remote_apply"}),
    ],
    ids=str,
)
def test_what_is_just_as_safe_is_not_complained_about(engine, safe, change):
    assert engine().unsafe(Answers(**safe | change)) == []


# --- a server of our own, set up badly -------------------------------------------------------


def careless_mariadb(folder: Path, port: int) -> list[object]:
    """MariaDB that flushes its log once a second; it makes what files it needs."""
    return [
        program("mariadbd"),
        "--no-defaults",
        f"--datadir={folder}",
        "--skip-grant-tables",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 'socket'}",
        f"--pid-file={folder / 'pid'}",
        "--innodb-flush-log-at-trx-commit=2",
        "--innodb-buffer-pool-size=8M",
        "--innodb-log-file-size=4M",
    ]


def careless_postgresql(folder: Path, port: int) -> list[object]:
    """PostgreSQL that leaves it to the operating system when anything is written."""
    make = [program("initdb"), "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **servers_user(folder))
    server = [program("postgres"), "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1"]
    return [*server, "-k", folder, "-c", "fsync=off", "-c", "synchronous_commit=off"]


CARELESS = {
    "mariadb": (careless_mariadb, "mysql", "root", {"innodb_flush_log_at_trx_commit"}),
    "postgresql": (careless_postgresql, "postgres", "postgres", {"fsync", "synchronous_commit"}),
}


def program(name: str) -> Path:
    """Where a server's program is; Debian keeps PostgreSQL's out of the path."""
    elsewhere = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (elsewhere[-1] if elsewhere else None)
    if found is None:
        pytest.skip(f"no {name} here to start a server of our own")
    return Path(found)


def servers_user(folder: Path) -> dict[str, object]:
    """Servers refuse to run as root; the folder's owner is who they run as."""
    owner = folder.stat()
    if os.getuid() == owner.st_uid:
        return {}
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


@pytest.fixture
def careless():
    """Start a server whose settings are not safe; answers its address."""
    with contextlib.ExitStack() as stack:

        def start(engine: str) -> str:
            command, owner, administrator, _ = CARELESS[engine]
            # Not in pytest's folder, which nobody but its owner may enter.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skyhold-")))
            if os.getuid() == 0:
                shutil.chown(folder, owner, owner)
            port = free_port()
            process = subprocess.Popen(
                command(folder, port),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                **servers_user(folder),
            )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            database = {"mariadb": "information_schema", "postgresql": "postgres"}[engine]
            return f"{engine}://{administrator}@127.0.0.1:{port}/{database}"

        yield start


@pytest.fixture
async def answering(careless):
    """Start such a server, and open it once it answers."""
    opened = []

    async def start(engine: str) -> Database:
        opened.append(Database(await asyncio.to_thread(careless, engine)))
        await eventually(it_answers, within_s=20)
        return opened[-1]

    async def it_answers():
        with contextlib.suppress(OSError, DBAPIError):
            return await opened[-1].run_sync(lambda _: True)
        return False

    yield start
    for db in opened:
        await db.close()


READ_ONLY = {
    "mariadb": ["SET GLOBAL read_only = 1"],
    "postgresql": [
        "ALTER SYSTEM SET default_transaction_read_only = on",
        "SELECT pg_reload_conf()",
    ],
}
PORT = {"mariadb": "SELECT @@port", "postgresql": "SELECT inet_server_port()"}


@pytest.mark.parametrize("engine", CARELESS)
async def test_a_server_that_is_set_up_carelessly_is_found_out(
    engine, answering, server_database, logged, monkeypatch
):
    """And then, made read-only, it is passed over for another host: it costs seconds to start."""
    require(engine)
    db = await answering(engine)
    await db.check_settings()
    told = {line["setting"] for line in logged if line["event"] == "db.unsafe"}
    assert told == CARELESS[engine][-1]

    url = server_database(engine)
    ports = db.url.port, make_url(url).port
    await in_autocommit(db, f"CREATE DATABASE {make_url(url).database}")
    both = Host("127.0.0.1", ports[0]), Host(make_url(url).host, ports[1])
    before, after = Database(joined(url, both)), Database(joined(url, both))

    async def goes_to(database):
        return await database.transact(lambda tx: tx.scalar(text(PORT[engine])))

    async def write(tx):
        await tx.run(text("CREATE TABLE written (id INT PRIMARY KEY)"))
        return await tx.scalar(text(PORT[engine]))

    assert await goes_to(before) == ports[0]
    await in_autocommit(db, *READ_ONLY[engine])
    assert await goes_to(after) == ports[1], "a new connection passes it over"
    if engine == "mariadb":  # whose administrator may write all the same, so nobody is told
        monkeypatch.setattr(servers, "IDLE_S", 0.0)
    assert await before.transact(write) == ports[1], "an old one is dropped"
    await before.close()
    await after.close()


async def in_autocommit(db, *statements):
    """Outside of transactions, where a server takes such orders alone."""
    admin = create_async_engine(db.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await admin.dispose()
