"""What the services send is what their contract says."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from skyhold.booking.models.tables import OUTBOX as BOOKING_OUTBOX
from skyhold.booking.services.events import Happened as BookingHappened
from skyhold.contracts.events import EVENT_KINDS, BookingEvent, FlightEvent
from skyhold.flight.models.tables import OUTBOX as FLIGHT_OUTBOX
from skyhold.flight.services.news import Happened as FlightHappened
from support.system import eventually

KINDS = {kind.type: kind for kind in EVENT_KINDS}
TIMES = {"departing_at": "2026-12-01T09:15:00-05:00", "arriving_at": "2026-12-01T11:30:00-06:00"}
FLIGHT = "UA1545-2026-12-01-EWR"


def test_every_kind_of_event_is_in_the_contract_with_its_source():
    told = {what.value: "/skyhold/booking" for what in BookingHappened}
    told |= {what.value: "/skyhold/flight" for what in FlightHappened}
    assert {name: kind.source for name, kind in KINDS.items()} == told


def test_an_event_of_before_flights_could_change_is_still_read():
    old = {
        "booking_id": "b",
        "record_locator": "K7QX3M",
        "user_id": "u",
        "status": "held",
        "total": {"amount": "129.00", "currency": "USD"},
        "segments": [{"flight_id": FLIGHT, "cabin": "economy", "seats": ["12A"]}],
    }
    assert BookingEvent.model_validate(old).changes == []


@pytest.mark.parametrize("status", ["scheduled", "cancelled", "a new one"])
def test_what_a_newer_service_adds_is_no_obstacle(status):
    data = {"flight_id": FLIGHT, "flight_number": "UA1545", "status": status, "gate": "C4"}
    event = FlightEvent.model_validate(data | TIMES | {"was": TIMES})
    assert (event.status, event.departing_at.utcoffset()) == (
        status,
        event.was.departing_at.utcoffset(),
    )


async def test_what_is_sent_is_what_the_contract_says_and_nothing_besides(inside):
    alice = await inside.traveller("Alice")
    moved, called_off = await inside.a_flight(), await inside.a_flight()
    for flight in (moved, called_off):
        booking = await alice.book(flight)
        await alice.pay(booking, "tok_declined")
        await alice.pay(booking)
    plan = await inside.flight(moved)
    later = {"departing_at": plan["departing_at"], "arriving_at": _later(plan["arriving_at"])}
    for flight, change in ((moved, later), (called_off, {"status": "cancelled"})):
        reply = await inside.flights_http.patch(
            f"/api/v1/flights/{flight}", json=change, headers=inside.staff()
        )
        assert reply.status_code == 200, reply.text

    async def sent():
        async with inside.bookings.db.read() as tx:
            rows = list(await tx.rows(select(BOOKING_OUTBOX)))
        async with inside.flights.db.read() as tx:
            rows += await tx.rows(select(FLIGHT_OUTBOX))
        return rows if KINDS.keys() - {row.type for row in rows} == {"booking.expired"} else None

    for row in await eventually(sent):
        payload = KINDS[row.type].payload.model_validate_json(json.dumps(row.data))
        assert json.loads(payload.model_dump_json()) == row.data, row.type


def _later(time: str) -> str:
    return (datetime.fromisoformat(time) + timedelta(hours=1)).isoformat()
