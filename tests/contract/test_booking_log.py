"""The log of a booking comes back as it was written, in its order, on every engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from booking_desk import a_booking, a_user
from sqlalchemy import insert, select

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.change import Change, ChangeKind, Times
from skyhold.booking.models.log import AIRLINE, SYSTEM, Action, Actor, Detail, Entry, Mark
from skyhold.booking.models.payment import Failure
from skyhold.booking.models.session import SessionEnd
from skyhold.booking.models.tables import SessionRow, UserRow
from skyhold.booking.models.user import Role
from skyhold.booking.repositories import booking_log, sessions, users
from skyhold.booking.services.timeline import Timelines
from skyhold.kernel.db import Dangling, Duplicate, OutcomeUnknown
from skyhold.kernel.identity import Identity
from skyhold.kernel.ids import new_id
from skyhold.kernel.money import Money


def an_entry(booking, at, **more) -> Entry:
    entry = Entry(
        id=new_id(),
        booking_id=booking.id,
        at=at,
        action=Action.HELD,
        actor=Actor.customer(booking.user_id),
        status_before=None,
        status_after=BookingStatus.HELD,
        detail=None,
        request_id=None,
    )
    return replace(entry, **more)


@pytest.fixture
async def booking(ada, now, write):
    booking = a_booking(ada, now)
    await write(booking)
    return booking


@pytest.fixture
def add(desk):
    async def add(*entries):
        await desk.transact(lambda tx: booking_log.add(tx, *entries))

    return add


async def log_of(desk, booking, after=None, limit=100):
    async with desk.read() as tx:
        return await booking_log.of_booking(tx, booking.id, after=after, limit=limit)


async def test_entries_come_back_as_they_were_written(desk, booking, now, add):
    times = Times(booking.segments[0].departing_at, booking.segments[0].arriving_at)
    change = Change(
        booking.segments[0].flight_id,
        ChangeKind.RESCHEDULED,
        times,
        replace(times, departing_at=times.departing_at + timedelta(hours=1)),
        now,
    )
    written = [
        an_entry(booking, now, request_id="r" * 64),
        an_entry(
            booking,
            now + timedelta(microseconds=1),
            action=Action.CANCELLED,
            actor=AIRLINE,
            status_before=BookingStatus.CONFIRMED,
            status_after=BookingStatus.CANCELLED,
            detail=Detail(new_id(), Failure.DECLINED, Money(0, "JPY"), Money(25_800, "USD")),
        ),
        an_entry(
            booking,
            now + timedelta(microseconds=2),
            actor=SYSTEM,
            detail=Detail(changes=(change, change)),
        ),
    ]
    await add(*written)
    assert await log_of(desk, booking) == written


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_hold_every_entry_once_even_of_one_instant(desk, ada, now, write, add, size):
    booking, other = a_booking(ada, now), a_booking(ada, now)
    await write(booking, other)
    instants = [now, now, now + timedelta(microseconds=1), now - timedelta(days=1), now]
    written = [an_entry(booking, at) for at in instants]
    await add(*written, an_entry(other, now))
    seen: list[Entry] = []
    mark = None
    while page := await log_of(desk, booking, mark, size):
        assert len(page) <= size
        seen += page
        assert len(seen) <= len(written)
        mark = Mark(page[-1].at, page[-1].id)
    assert seen == sorted(written, key=lambda each: (each.at, each.id))


async def test_an_entry_is_there_once_and_of_a_booking_that_there_is(booking, now, add):
    entry = an_entry(booking, now)
    await add(entry)
    with pytest.raises(Duplicate):
        await add(entry)
    with pytest.raises(Dangling):
        await add(an_entry(booking, now, booking_id=new_id()))


async def test_a_look_is_known_by_who_looked_at_what_and_when(desk, booking, now, add):
    looker = new_id()
    await add(an_entry(booking, now, action=Action.VIEWED, actor=Actor.staff(looker)))
    later = now + timedelta(microseconds=1)
    async with desk.read() as tx:
        viewed_by, of = booking_log.viewed_by, [new_id(), booking.id]
        assert await viewed_by(tx, of, looker, since=now) == {booking.id}
        assert await viewed_by(tx, of, looker, since=later) == set()
        assert await viewed_by(tx, of, new_id(), since=now) == set()
        assert await viewed_by(tx, [new_id()], looker, since=now) == set()
        assert await viewed_by(tx, [], looker, since=now) == set()


@pytest.mark.parametrize("lost", ["before", "after"], ids="lost {} it was done".format)
async def test_a_look_whose_commit_nobody_heard_is_written_down_once(
    desk, booking, clock, lost, monkeypatch
):
    """The answer to the first COMMIT is lost; whether it was carried out, nobody knows."""
    run, runs = desk._run, []

    async def unheard(work):
        runs.append(work)
        if len(runs) > 1:
            return await run(work)
        if lost == "after":
            await run(work)
        raise OutcomeUnknown

    monkeypatch.setattr(desk, "_run", unheard)
    who = Identity(new_id(), "staff", new_id())
    await Timelines(desk, clock).note_view(who, booking)
    assert len(runs) == 2
    assert [entry.action for entry in await log_of(desk, booking)] == [Action.VIEWED]
    assert [entry.actor for entry in await log_of(desk, booking)] == [Actor.staff(who.user_id)]


async def test_a_role_changes_once_and_ends_the_sessions_of_that_account_alone(desk, ada, now):
    bob = a_user(now)
    await desk.transact(lambda tx: users.add(tx, bob))

    async def log_in(tx):
        for user in (ada, ada, bob):
            row = {
                "id": new_id(),
                "user_id": user.id,
                "created_at": now,
                "seen_at": now,
                "ends_at": now + timedelta(days=30),
                "ver": 1,
            }
            await tx.run(insert(SessionRow), [row])

    await desk.transact(log_in)
    old, new = Role.CUSTOMER, Role.STAFF

    async def change(tx):
        return await users.change_role(tx, ada.id, old=old, new=new)

    async def end(tx):
        return len(await sessions.end_all(tx, ada.id, SessionEnd.ROLE_CHANGED, now=now))

    assert [await desk.transact(change) for _ in range(2)] == [True, False]
    assert [await desk.transact(end) for _ in range(2)] == [2, 0]
    async with desk.read() as tx:
        ended = await tx.rows(select(SessionRow.user_id, SessionRow.ended_by))
        roles = dict(map(tuple, await tx.rows(select(UserRow.id, UserRow.role))))
    assert sorted(map(tuple, ended), key=str) == sorted(
        [(ada.id, "role_changed")] * 2 + [(bob.id, None)], key=str
    )
    assert roles == {ada.id: "staff", bob.id: "customer"}
