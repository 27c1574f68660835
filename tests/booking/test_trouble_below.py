"""What lies below fails: a row that cannot be read, a disk that is full."""

from __future__ import annotations

from sqlalchemy import select, text, update

from skyhold.booking.models.tables import BookingRow
from support.system import eventually


async def test_a_row_that_cannot_be_read_is_set_aside_and_stops_nobody(start_system):
    async with start_system(expiry_batch_max=1) as system:
        alice = await system.traveller()
        flight = await system.a_flight()
        broken, sound = await alice.book(flight), await alice.book(flight)
        db = system.bookings.db
        spoil = update(BookingRow).where(BookingRow.id == broken["id"]).values(segments=[{}])
        await db.transact(lambda tx: tx.run(spoil))
        system.advance(minutes=16)

        async def the_sound_one_expires():
            return (await alice.get(sound))["status"] == "expired"

        await eventually(the_sound_one_expires)
        async with db.read() as tx:
            row = await tx.row(
                select(BookingRow.attempts, BookingRow.due_at).where(BookingRow.id == broken["id"])
            )
        assert row.attempts >= 1
        assert row.due_at > system.now()


async def test_a_full_disk_is_a_503_and_leaves_no_seat_behind(inside):
    alice = await inside.traveller()
    flight = await inside.a_flight()
    db = inside.bookings.db

    async def limit_pages(pages):
        await db.transact(lambda tx: tx.scalar(text(f"PRAGMA max_page_count={pages}")))

    async with db.read() as tx:
        pages = await tx.scalar(text("PRAGMA page_count"))
    await limit_pages(pages)
    refused = [await alice.book(flight, party=9) for _ in range(8)]
    full = [reply for reply in refused if reply.status != 201]
    assert {(reply.status, reply.code) for reply in full} == {(503, "database_unwell")}
    await limit_pages(1_000_000)

    async def only_the_booked_seats_are_taken():
        booked = 9 * (len(refused) - len(full))
        return await inside.seats_left(flight) == 100 - booked

    await eventually(only_the_booked_seats_are_taken)
    assert (await alice.book(flight)).status == 201
