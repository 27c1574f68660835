"""Each transaction of the model is that of the real service, on a real database.

The rows are put into every state that a booking and a payment of it can be in together; then a
driver that has read them while its step was due, and is answered only now, writes what it heard.
"""

from __future__ import annotations

import pytest

from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import open_database

from . import booking_rules, provider_rules
from .real_desk import DEADLINE, Desk
from .scenarios import ALL
from .world import A0, Booking, Payment, World, changed, nothing_yet


@pytest.fixture
async def desk(tmp_path, template):
    (tmp_path / "booking.db").write_bytes((template / "booking.db").read_bytes())
    db = open_database(BookingSettings(_env_file=None, data_dir=tmp_path))
    desk = Desk(db)
    await desk.open()
    yield desk
    await db.close()


@pytest.fixture
def worlds(seen) -> list[World]:
    """Every booking with its payments that there can be, as if it were Alice's first."""
    found = set()
    for scenario in ALL:
        for file in seen[scenario.name].files:
            payments = tuple(pay and pay._replace(of=A0) for pay in file.payments)
            payments = (*payments, None, None)[:2]
            found.add((file.booking._replace(deadline=DEADLINE, body="x"), payments))
    empty = nothing_yet(payments=2)
    return [
        empty._replace(bookings=changed(empty.bookings, A0, booking), payments=payments)
        for booking, payments in sorted(found, key=repr)
    ]


def rows(world: World | None) -> tuple[tuple, tuple]:
    booking = world.bookings[A0]
    attempts = tuple(payment.status for payment in world.payments if payment is not None)
    return (booking.status, booking.active, booking.hold_open), attempts


def as_one_payment_sees_it(world: World, p: int) -> tuple[Booking, bool, Payment | None]:
    """All that a step of this payment can depend on."""
    booking = world.bookings[A0]
    return booking._replace(active=None), booking.active == p, world.payments[p]


async def test_what_a_driver_heard_is_written_as_the_model_says(desk, worlds):
    cases = {}
    for world in worlds:
        for p, payment in enumerate(world.payments):
            if payment is not None:
                for what, answer in booking_rules.WRITTEN:
                    key = (*as_one_payment_sees_it(world, p), what, answer)
                    cases.setdefault(key, (world, p, what, answer))
    written = 0
    for world, p, what, answer in cases.values():
        after = booking_rules.acted_upon(world, what, p, answer, None)
        await desk.put(world.bookings[A0], world.payments)
        await desk.acted_upon(what, p, answer)
        about = f"{answer} to {what} of payment {p + 1} in {rows(world)}"
        assert await desk.look() == rows(after or world), about
        written += after is not None
    print(f"\n{len(cases)} answers, {written} of them written down", end="")
    assert 0 < written < len(cases)


async def test_the_seats_of_a_booking_count_as_released_as_the_model_says(desk, worlds):
    for world in {world.bookings: world for world in worlds}.values():
        after = booking_rules.released(world, A0)
        await desk.put(world.bookings[A0], world.payments)
        await desk.released()
        assert await desk.look() == rows(after or world), f"released in {rows(world)}"


@pytest.mark.parametrize("now", [DEADLINE - 1, DEADLINE])
async def test_paying_starts_and_bookings_expire_as_the_model_says(desk, worlds, now):
    for known in worlds:
        world = known._replace(now=now)
        new = sum(payment is not None for payment in world.payments)
        if new < len(world.payments):
            after = booking_rules.paying_started(world, A0, None)
            await desk.put(world.bookings[A0], world.payments)
            await desk.paying_started(new, now)
            assert await desk.look() == rows(after or world), f"paid in {rows(world)}"
        late = any(booking_rules.lateness(world, world.bookings[A0], 1))
        after = booking_rules.expired(world, A0, None) if late else None
        await desk.put(world.bookings[A0], world.payments)
        await desk.expired(now)
        assert await desk.look() == rows(after or world), f"expired in {rows(world)}"


async def test_bookings_are_called_off_as_the_model_says(desk, worlds):
    for world in worlds:
        after = booking_rules.called_off(world, A0, None)
        await desk.put(world.bookings[A0], world.payments)
        await desk.called_off(world.bookings[A0].status)
        assert await desk.look() == rows(after or world), f"called off in {rows(world)}"


async def test_a_payment_at_rest_is_woken_as_the_model_says(desk, worlds):
    states = (None, *provider_rules.STATES)
    cases = {
        (as_one_payment_sees_it(world, 0), state): world for world in worlds for state in states
    }
    for (_, state), known in cases.items():
        if known.payments[0] is None:
            continue
        world = known._replace(provider=(state, None))
        after = booking_rules.reopened(world, 0)
        await desk.put(world.bookings[A0], world.payments)
        await desk.woken(0, state)
        assert await desk.look() == rows(after or world), f"{state}, woken in {rows(world)}"
