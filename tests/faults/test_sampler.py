"""The sampler is checked: what it sees is the same on every engine, and it sees what is wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from faults import tables
from faults.little_run import little_run
from faults.run import Run
from faults.sampler import Sampler
from skyhold.booking.models.tables import BookingRow, UserRow
from skyhold.kernel.db import Database
from support.databases import ENGINES, fresh_database, migrate


class Scene:
    """The databases of a little run, a sampler that looks at them, and a hand that changes them."""

    def __init__(self, folder, sampler) -> None:
        self.folder, self.sampler = folder, sampler

    def change(self, database: str, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / f"{database}.db")) as db, db:
            db.execute(statement)

    async def look(self) -> set[str]:
        """The laws that have been reported so far."""
        await self.sampler.sample()
        lines = seen(self.folder)
        return {line["law"] for line in lines if line["violation"]}


def seen(folder):
    return list(a_run(folder, "", "").lines("samples"))


def a_run(folder, booking: str, flight: str) -> Run:
    urls = {"booking_db_url": booking, "flight_db_url": flight, "sandbox_db": ""}
    times = {"payment_window_s": 1, "hold_grace_s": 1, "give_up_after_s": 1, "began_at": 0}
    more = {"seed": 1, "db": "sqlite", "minutes": 1, "amqp_url": None, "amqp_prefix": ""}
    return Run(folder=folder, **urls, **times, **more)


@pytest.fixture
async def scene(tmp_path):
    little_run().write(tmp_path)
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("booking", "flight")]
    sampler = Sampler(a_run(tmp_path, *urls))
    yield Scene(tmp_path, sampler)
    await sampler.close()


async def test_nothing_is_reported_while_nothing_is_wrong(scene):
    assert await scene.look() == set()
    scene.change("flight", "UPDATE holds SET status = 'cancelled' WHERE id = 'a'")
    scene.change("flight", "DELETE FROM seat_claims")
    scene.change("booking", "UPDATE bookings SET status = 'cancelled', ver = 10 WHERE id = 'a'")
    assert await scene.look() == set()


TWIN = """INSERT INTO holds SELECT 'e', status, segments, expires_at, resolved_at, ver
    FROM holds WHERE id = 'a'"""


@pytest.mark.parametrize(
    ("law", "database", "statement"),
    [
        ("claims_match", "flight", "DELETE FROM seat_claims"),
        ("claims_match", "flight", "INSERT INTO seat_claims VALUES ('f', '9F', 'b')"),
        ("one_owner", "flight", TWIN),
        ("seat_kept", "flight", "UPDATE holds SET status = 'released' WHERE id = 'a'"),
        ("seat_kept", "booking", "UPDATE bookings SET status = 'held' WHERE id = 'c'"),
        ("steps_in_order", "booking", "UPDATE bookings SET status = 'held' WHERE id = 'a'"),
        ("steps_in_order", "flight", "UPDATE holds SET status = 'expired' WHERE id = 'a'"),
    ],
)
async def test_what_is_wrong_at_any_moment_is_reported(scene, law, database, statement):
    await scene.look()
    scene.change(database, statement)
    assert law in await scene.look()


async def test_seats_are_not_final_before_an_authorisation_is_written_down(scene):
    scene.change(
        "booking", "UPDATE bookings SET status = 'paying', active_payment_id = 'pa' WHERE id = 'a'"
    )
    assert await scene.look() == set()
    scene.change("booking", "UPDATE payments SET status = 'created' WHERE id = 'pa'")
    assert await scene.look() == {"steps_in_order"}


async def test_a_hold_that_ended_never_lives_again(scene):
    await scene.look()
    scene.change("flight", "UPDATE holds SET status = 'cancelled' WHERE id = 'a'")
    await scene.look()
    scene.change("flight", "UPDATE holds SET status = 'confirmed' WHERE id = 'a'")
    assert "steps_in_order" in await scene.look()


async def test_a_violation_is_written_once_and_the_end_says_how_often_it_looked(scene):
    scene.change("flight", "DELETE FROM seat_claims")
    await scene.sampler.start()
    while scene.sampler.samples < 2:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    await scene.sampler.stop()
    lines = seen(scene.folder)
    assert len([line for line in lines if line["violation"]]) == 1
    assert lines[-1]["samples"] >= 3


async def test_a_database_that_is_away_is_looked_at_again(scene):
    there, elsewhere = scene.folder / "flight.db", scene.folder / "elsewhere.db"
    there.rename(elsewhere)
    await scene.sampler.start()
    while scene.sampler.failed < 1:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    elsewhere.replace(there)
    while scene.sampler.samples < 1:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    await scene.sampler.stop()


# --- reading, engine by engine ---------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
async def test_rows_read_the_same_on_every_engine(engine, tmp_path):
    with fresh_database(engine, tmp_path) as url:
        migrate(url, with_reference=False)
        await _write_a_booking(url)
        reader = tables.reader(url)
        async with tables.snapshot(reader) as connection:
            (row,) = await tables.rows(connection, "SELECT * FROM bookings")
        await reader.dispose()
    assert row["segments"] == [{"flight_id": "F", "seats": ["1A"]}]
    assert row["payment_required_by"] == 1_900_000_000.5
    assert (row["hold_open"], row["due_at"], row["changes"]) == (True, None, None)
    assert row["total_minor"] == 12_900


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_snapshot_is_of_one_moment(engine, tmp_path):
    with fresh_database(engine, tmp_path) as url:
        migrate(url, with_reference=False)
        reader = tables.reader(url)
        count = "SELECT COUNT(*) AS n FROM bookings"
        async with tables.snapshot(reader) as connection:
            before = await tables.rows(connection, count)
            await _write_a_booking(url)
            assert await tables.rows(connection, count) == before
        async with tables.snapshot(reader) as connection:
            assert await tables.rows(connection, count) == [{"n": 1}]
        await reader.dispose()


async def _write_a_booking(url: str) -> None:
    """By the service's own tables, which the reader knows nothing of."""
    at = datetime.fromtimestamp(1_900_000_000.5, UTC)
    user = {"id": "u", "name": "Ada", "email": "a@example.com", "email_key": "a@example.com"}
    user |= {"password_hash": "x", "role": "customer", "created_at": at}
    booking = {
        "id": "b",
        "user_id": "u",
        "record_locator": "ABCDEF",
        "status": "confirmed",
        "segments": [{"flight_id": "F", "seats": ["1A"]}],
        "total_minor": 12_900,
        "currency": "USD",
        "payment_required_by": at,
        "hold_open": True,
        "attempts": 0,
        "ver": 1,
        "created_at": at,
    }
    db = Database(url)

    async def write(tx):
        await tx.run(insert(UserRow), [user])
        await tx.run(insert(BookingRow), [booking])

    await db.transact(write)
    await db.close()
