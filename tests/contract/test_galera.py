"""What holds between the nodes of a Galera cluster, where a lock is one node's own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from contract_stage import note, raised
from sqlalchemy import text

from skyhold.booking.wiring import HISTORY
from skyhold.kernel.db import Database
from skyhold.kernel.db_errors import DatabaseBusy
from skyhold.kernel.engines import galera
from skyhold.kernel.migrations import SchemaState
from skyhold.kernel.settings import SettingsError
from support.databases import ENGINES, SERVERS, fresh_database, replicas_of

# Collected only where `make galera` says so: the suite promises no cluster.
CLUSTERS = [engine for engine in ENGINES if engine == "galera"]
ROUNDS = 60
TRIES_MAX = 10
MIGRATE = """
import asyncio, pathlib, sys
from skyhold.kernel.db import Database
from skyhold.kernel.migrations import History

service, folder, url = sys.argv[1:]
sys.stdin.readline()
asyncio.run(History(service, pathlib.Path(folder)).upgrade(Database(url)))
"""

if CLUSTERS:

    @pytest.fixture(scope="module", params=CLUSTERS)
    def engine(request) -> str:
        return request.param

    async def test_every_node_is_of_one_cluster_and_the_replicas_are_at_different_ones(connect):
        told = set()
        for _ in SERVERS["galera"].nodes:
            async with connect().read() as tx:
                told.add(await tx.scalar(text("SELECT @@wsrep_node_name")))
        assert len(told) == len(SERVERS["galera"].nodes) == 3

    async def test_what_one_node_committed_the_others_see_at_once(connect, rows):
        """A compare-and-set just after the write at another node finds what it compares with."""
        writer, *others = (connect() for _ in range(3))
        missed = 0
        for number in range(ROUNDS):
            id = f"n{number}"
            await writer.transact(lambda tx, id=id: tx.run(note(id)))
            done = await asyncio.gather(*(_raise(db, id) for db in others))
            missed += sum(it == 0 for it in done)
        assert missed == 0

    async def test_what_one_node_committed_the_others_read_at_once(connect, rows):
        writer, *others = (connect() for _ in range(3))
        for number in range(ROUNDS):
            id = f"n{number}"
            await writer.transact(lambda tx, id=id: tx.run(note(id)))
            for db in others:
                async with db.read() as tx:
                    found = text("SELECT COUNT(*) FROM notes WHERE id = :id").bindparams(id=id)
                    assert await tx.scalar(found) == 1

    async def test_of_two_who_write_at_two_nodes_the_later_one_is_run_again(connect, rows, logged):
        """Both are told "one row"; at COMMIT one of them learns that it was too late."""
        await rows.add("a")
        both_have_written = asyncio.Barrier(2)
        runs = []

        async def work(tx):
            runs.append(await tx.run(raised("a")))
            if len(runs) <= 2:
                await both_have_written.wait()

        await asyncio.gather(*(connect().transact(work) for _ in range(2)))
        assert runs == [1, 1, 1]
        assert [line["event"] for line in logged] == ["db.retry"]
        assert await rows.all() == {"a": 2}

    async def test_processes_that_migrate_at_different_nodes_at_once_migrate_it_once(tmp_path):
        for _ in range(3):
            with fresh_database("galera", tmp_path) as url:
                await asyncio.to_thread(_migrate_at_every_node, url)
                for node in replicas_of("galera", url):
                    db = Database(node)
                    assert await HISTORY.state(db) is SchemaState.CURRENT
                    await db.close()

    async def test_a_lock_that_was_left_behind_keeps_others_out_until_its_time_is_over(
        tmp_path, monkeypatch
    ):
        with fresh_database("galera", tmp_path) as url:
            db = Database(url)
            await HISTORY.upgrade(db)
            left = text("INSERT INTO skyhold_schema_lock VALUES (:name, 'dead', :until)")
            until = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=4)
            values = {"name": HISTORY.version_table, "until": until}
            await db.transact(lambda tx: tx.run(left, values=values))
            monkeypatch.setattr(galera, "WAIT_S", 0.5)
            with pytest.raises(SettingsError, match="skyhold_schema_lock"):
                await HISTORY.upgrade(db)
            monkeypatch.undo()
            await HISTORY.upgrade(db)
            assert datetime.now(UTC).replace(tzinfo=None) >= until
            async with db.read() as tx:
                assert await tx.rows(text("SELECT * FROM skyhold_schema_lock")) == []
            await db.close()

    async def test_every_table_has_a_primary_key(db):
        """Without one Galera refuses a DELETE, and may certify two changes of one row."""
        async with db.read() as tx:
            without = await tx.rows(
                text(
                    "SELECT t.table_name FROM information_schema.tables t"
                    " WHERE t.table_schema = DATABASE() AND NOT EXISTS ("
                    "  SELECT 1 FROM information_schema.table_constraints c"
                    "  WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name"
                    "  AND c.constraint_type = 'PRIMARY KEY')"
                )
            )
        assert without == []


async def _raise(db: Database, id: str) -> int:
    """How many rows it found; a conflict with the other one's is run again."""
    for _ in range(TRIES_MAX):
        with suppress(DatabaseBusy):
            return await db.transact(lambda tx: tx.run(raised(id)))
    raise AssertionError(f"{id} is fought for by too many")


def _migrate_at_every_node(url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, HISTORY.service, str(HISTORY.folder)]
    processes = [
        subprocess.Popen([*command, node], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for node in replicas_of("galera", url)
    ]
    try:
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
