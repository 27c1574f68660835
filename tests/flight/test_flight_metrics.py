"""What an operator sees of holds: what became of them, and which wait for the sweeper."""

from __future__ import annotations

import pytest

from skyhold.flight.services.backlog import Backlog
from skyhold.kernel.backlog import DUE_ROWS, OVERDUE_ROWS, UNPUBLISHED
from skyhold.kernel.ids import new_id
from support.prometheus import Since

HOLDS = "skyhold_holds_total"
OUTCOMES = (
    *("held", "confirmed", "released", "expired", "cancelled", "tombstone"),
    *("sold_out", "seat_unavailable", "price_changed", "flight_departed", "refused"),
)


def wanted(flight, count=1, **more):
    return {"segments": [{"flight_id": flight, "cabin": "economy", "count": count}], "ttl_s": 60}


@pytest.fixture
async def flight(inside):
    return await inside.a_flight()


@pytest.fixture
def changed(inside):
    """The outcomes that were counted while a test ran, by how often."""
    since = Since()

    def ask():
        grown = {outcome: since(HOLDS, outcome=outcome) for outcome in OUTCOMES}
        return {outcome: times for outcome, times in grown.items() if times}

    return ask


async def test_a_hold_is_counted_once_for_each_state_it_comes_to(inside, flight, changed):
    hold = new_id()
    for _ in range(3):  # repeats change nothing, so they count for nothing
        await inside.hold("PUT", hold, wanted(flight))
        await inside.hold("PUT", f"{hold}/confirmation")
    for _ in range(2):
        await inside.hold("DELETE", f"{hold}?cancel=true")
    assert changed() == {"held": 1, "confirmed": 1, "cancelled": 1}


async def test_seats_that_are_given_back_count_as_released_and_an_unknown_id_does_not(
    inside, flight, changed
):
    hold = new_id()
    await inside.hold("PUT", hold, wanted(flight))
    await inside.hold("DELETE", hold)
    await inside.hold("DELETE", new_id())
    assert changed() == {"held": 1, "released": 1, "tombstone": 1}


async def test_refusals_are_counted_by_why(inside, flight, changed):
    seat = {"flight_id": flight, "cabin": "economy", "seats": ["1A"]}
    await inside.hold("PUT", new_id(), {"segments": [seat], "ttl_s": 60})
    taken = await inside.hold("PUT", new_id(), {"segments": [seat], "ttl_s": 60})
    assert taken.body["code"] == "seat_unavailable"
    for _ in range(12):
        await inside.hold("PUT", new_id(), wanted(flight, 9))
    nowhere = await inside.hold("PUT", new_id(), wanted("B61-2090-01-01-JFK"))
    assert nowhere.body["code"] == "flight_not_found"
    assert changed() == {"held": 12, "seat_unavailable": 1, "sold_out": 1, "refused": 1}


async def test_holds_are_due_when_their_time_is_up_and_counted_when_the_sweeper_came(
    inside, flight, changed
):
    async def look():
        return await Backlog(inside.flights.db, inside.clock).look()

    inside.advance(seconds=61)
    before = await inside.flights.holds.sweep()
    await inside.hold("PUT", new_id(), wanted(flight))
    assert (await look())[DUE_ROWS] == {("hold", "held"): 0}
    inside.advance(seconds=61)
    seen = await look()
    assert (seen[DUE_ROWS], seen[OVERDUE_ROWS]) == ({("hold", "held"): 1}, {("hold", "held"): 0})
    inside.advance(seconds=60)
    assert (await look())[OVERDUE_ROWS] == {("hold", "held"): 1}
    await inside.flights.holds.sweep()
    seen = await look()
    assert seen[DUE_ROWS] == seen[OVERDUE_ROWS] == {("hold", "held"): 0}
    assert changed() == {"held": 1, "expired": before + 1}


async def test_events_that_are_to_be_told_are_counted(inside):
    seen = await Backlog(inside.flights.db, inside.clock).look()
    assert seen[UNPUBLISHED] == {("flight",): 0}
