"""What the desk asks of the database: the same answers, by the same indexes, on every engine."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from booking_desk import FLIGHT, a_booking
from sqlalchemy import text

from skyhold.booking.models.audited import Audited, AuditOutcome
from skyhold.booking.models.booking import BookingStatus, Passenger, PassengerType, Position
from skyhold.booking.models.log import SYSTEM, Action, Entry
from skyhold.booking.models.tables import Base
from skyhold.booking.models.wanted import Wanted
from skyhold.booking.repositories import audits, booking_log, traffic
from skyhold.booking.repositories import desk as desk_repository
from skyhold.kernel.db import Duplicate
from skyhold.kernel.ids import new_id

CONFIRMED = {"status": BookingStatus.CONFIRMED, "due_at": None}
AN_HOUR, A_MOMENT = timedelta(hours=1), timedelta(microseconds=1)


@pytest.fixture
def find(desk):
    """The ids of what is found."""

    async def find(after=None, limit=100, **asked):
        async with desk.read() as tx:
            found = await desk_repository.found(tx, Wanted(**asked), after=after, limit=limit)
        return [booking.id for booking in found]

    return find


def of(*names: str):
    return tuple(Passenger("Ada", name, PassengerType.ADULT, None) for name in names)


# --- finding -------------------------------------------------------------------------------------


async def test_a_booking_comes_back_as_it_was_written(desk, ada, now, write):
    booking = a_booking(ada, now)
    await write(booking, a_booking(ada, now))
    async with desk.read() as tx:
        for asked in (
            Wanted(record_locator=booking.record_locator),
            Wanted(family_name="O'Neill", status=BookingStatus.HELD),
        ):
            found = await desk_repository.found(tx, asked, after=None, limit=100)
            assert booking in found


async def test_a_surname_is_compared_code_point_by_code_point(find, ada, now, write):
    """Engines differ in what they take for the same letter, unless they are told."""
    names = ["Müller", "Muller", "MÜLLER", "müller", "Müller ", "李", "o'neill", "O'Neill", "%"]
    made = {name: a_booking(ada, now, passengers=of(name)) for name in names}
    await write(*made.values())

    async def found(name):
        ids = set(await find(family_name=name))
        return {name for name, booking in made.items() if booking.id in ids}

    assert await found("müller") == {"Müller", "MÜLLER", "müller"}
    assert await found("Müller ") == {"Müller "}
    assert await found("Muller") == {"Muller"}
    assert await found("李") == {"李"}
    assert await found("O'NEILL") == {"o'neill", "O'Neill"}
    assert await found("%") == {"%"}


async def test_a_party_of_one_name_is_one_booking(find, ada, now, write):
    booking = a_booking(ada, now, passengers=of("Curie", "Curie", "CURIE"))
    await write(booking)
    assert await find(family_name="Curie") == [booking.id]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("asked", [{"family_name": "Curie"}, {"flight_id": FLIGHT}], ids=str)
async def test_pages_are_the_newest_first_also_of_one_instant(find, ada, now, write, asked, size):
    instants = [now, now, now - timedelta(days=1), now + A_MOMENT, now]
    made = [a_booking(ada, at, passengers=of("Curie"), id=new_id()) for at in instants]
    random.Random(7).shuffle(made)
    await write(*made)
    seen, after = [], None
    while page := await find(after=after, limit=size, **asked):
        seen += page
        last = next(booking for booking in made if booking.id == page[-1])
        after = Position(last.created_at, last.id)
    newest = sorted(made, key=lambda booking: (booking.created_at, booking.id), reverse=True)
    assert seen == [booking.id for booking in newest]


async def test_a_state_leaves_the_others_out(find, ada, now, write):
    held, confirmed = a_booking(ada, now), a_booking(ada, now, **CONFIRMED)
    await write(held, confirmed)
    assert await find(flight_id=FLIGHT, status=BookingStatus.CONFIRMED) == [confirmed.id]
    assert set(await find(flight_id=FLIGHT)) == {held.id, confirmed.id}
    assert await find(record_locator=held.record_locator, status=BookingStatus.EXPIRED) == []


# --- what was done lately ------------------------------------------------------------------------


@pytest.fixture
def log(desk):
    async def log(*entries):
        await desk.transact(lambda tx: booking_log.add(tx, *entries))

    return log


def an_entry(booking, at, action=Action.HELD) -> Entry:
    return Entry(new_id(), booking.id, at, action, SYSTEM, None, booking.status, None, None)


async def test_what_was_done_is_counted_from_an_instant_to_another(desk, ada, now, write, log):
    booking = a_booking(ada, now)
    await write(booking)
    await log(
        *(an_entry(booking, at) for at in (now - A_MOMENT, now, now + AN_HOUR - A_MOMENT)),
        an_entry(booking, now + AN_HOUR),
        an_entry(booking, now, Action.CANCELLED),
        an_entry(booking, now, Action.VIEWED),
    )
    shown = [Action.HELD, Action.CANCELLED, Action.EXPIRED]
    async with desk.read() as tx:
        done = await traffic.done(tx, shown, now, now + AN_HOUR)
        assert done == {Action.HELD: 2, Action.CANCELLED: 1}
        assert await traffic.done(tx, shown, now + 2 * AN_HOUR, now + 3 * AN_HOUR) == {}


async def test_states_are_of_the_newest_that_were_made_since(desk, ada, now, write, log):
    old, held = a_booking(ada, now), a_booking(ada, now)
    paid = [a_booking(ada, now, **CONFIRMED) for _ in range(2)]
    await write(old, held, *paid)
    made = [(old, now - A_MOMENT), (held, now), (paid[0], now + AN_HOUR), (paid[1], now + AN_HOUR)]
    await log(*(an_entry(*each) for each in made), an_entry(old, now, Action.CANCELLED))
    async with desk.read() as tx:
        assert await traffic.by_status(tx, now, 100) == {"held": 1, "confirmed": 2}
        assert await traffic.by_status(tx, now, 2) == {"confirmed": 2}
        assert await traffic.by_status(tx, now + 2 * AN_HOUR, 100) == {}


# --- audits --------------------------------------------------------------------------------------


async def test_the_last_audit_is_the_one_that_ended_last(desk, now):
    async def last():
        async with desk.read() as tx:
            return await audits.last(tx)

    assert await last() is None
    audited = Audited(
        new_id(), now, AuditOutcome.NOT_COMPARED, 12_345, 2**40, 2, 3, {"hold_over": 7}, ("é",)
    )
    earlier = Audited(new_id(), now - A_MOMENT, AuditOutcome.FAILED, found={})
    for one in (audited, earlier):
        await desk.transact(lambda tx, one=one: audits.add(tx, one))
    assert await last() == audited
    with pytest.raises(Duplicate):
        await desk.transact(lambda tx: audits.add(tx, replace(earlier, id=audited.id)))
    with pytest.raises(Exception, match=r"(?i)constraint"):
        await desk.transact(lambda tx: tx.run(text("UPDATE audits SET outcome = 'fine'")))


# --- by their indexes ----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True, scope="module")
async def test_no_question_goes_through_a_whole_table(desk, ada, now):
    """SQLite tells its plans in words; servers choose by statistics, which a test does not have."""
    asked = []
    async with desk.read() as tx:
        rows = tx.rows

        async def remembered(statement, values=None):
            asked.append(statement)
            return await rows(statement, values)

        tx.rows = remembered
        for wanted in (
            Wanted(record_locator="AAAAAA"),
            Wanted(family_name="Curie", status=BookingStatus.HELD),
            Wanted(flight_id=FLIGHT),
        ):
            after = Position(now, new_id())
            await desk_repository.found(tx, wanted, after=after, limit=5)
        await traffic.done(tx, [Action.HELD, Action.EXPIRED], now, now + AN_HOUR)
        await traffic.by_status(tx, now, 5)
        asked = [statement for statement in asked if "POSTCOMPILE_ids" not in str(statement)]
        plans = [await rows(text(f"EXPLAIN QUERY PLAN {_in_full(desk, one)}")) for one in asked]
    assert len(plans) == 5
    steps = [step.detail for plan in plans for step in plan]
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
    assert not scanned & Base.metadata.tables.keys(), steps


def _in_full(db, statement):
    return statement.compile(dialect=db.url.get_dialect()(), compile_kwargs={"literal_binds": True})
