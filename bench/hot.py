"""The pure functions that every booking passes through, ready to be called: see instructions.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.schemas.bookings import NewBooking, to_answer
from skyhold.booking.services.look import View
from skyhold.contracts.holds import Cabin, Hold, HoldWanted
from skyhold.flight.models.allocation import Ledger
from skyhold.flight.models.flight import Flight, FlightStatus
from skyhold.flight.models.holds import SOMEBODYS, Decision, PutHold
from skyhold.flight.models.layout import Layout
from skyhold.flight.models.seating import assign
from skyhold.flight.schemas.holds import to_answers, to_wire
from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.http import strict_json
from skyhold.kernel.ids import new_id, new_locator
from skyhold.kernel.money import Money

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FLIGHT_ID = "UA1545-2026-12-20-EWR"
ASKED = {
    "segments": [{"flight_id": FLIGHT_ID, "cabin": "economy"}],
    "passengers": [{"given_name": "Ada", "family_name": "Lovelace"}],
}
BODY = json.dumps(ASKED).encode()
LAYOUT = Layout.parse([{"cabin": "economy", "rows": "1-30", "seats": "ABC DEF"}])
HALF = frozenset(seat.number for seat in LAYOUT.cabins[0].seats[:90])
FLIGHT = Flight(
    id=FLIGHT_ID,
    airline="UA",
    airline_name="United Air Lines Inc.",
    number=1545,
    origin="EWR",
    destination="IAH",
    origin_zone="America/New_York",
    destination_zone="America/Chicago",
    departing_at=NOW + timedelta(days=19),
    arriving_at=NOW + timedelta(days=19, hours=4),
    aircraft="738",
    aircraft_name="Boeing 737-800",
    layout=LAYOUT,
    status=FlightStatus.SCHEDULED,
    fares={Cabin.ECONOMY: Money(12_900, "USD")},
)
COMMAND = PutHold(
    new_id(),
    "booking",
    HoldWanted.model_validate({"segments": [{"flight_id": FLIGHT_ID, "count": 1}], "ttl_s": 1020}),
    "digest",
)


def _decide() -> Decision:
    claims = {FLIGHT_ID: dict.fromkeys(HALF, SOMEBODYS)}
    ledger = Ledger(now=NOW, holds={}, flights={FLIGHT_ID: FLIGHT}, claims=claims)
    decided = ledger.decide(COMMAND)
    assert isinstance(decided, Decision), decided
    return decided


def _token() -> Callable[[], Mapping[str, Any]]:
    kind = access_kind(600)
    tokens = Tokens("a-secret-for-the-bench-that-is-long-enough", kind, SystemClock())
    token = tokens.issue("somebody", role="customer", sid="session")
    return lambda: tokens.verify(token)


DECISION = _decide()
DECIDED = DECISION.hold
SAID = to_wire(DECIDED, NOW).model_dump(mode="json")
BOOKING = Booking(
    id=DECIDED.id,
    user_id=new_id(),
    record_locator=new_locator(),
    idempotency_key=None,
    request_digest=None,
    status=BookingStatus.HELD,
    segments=DECIDED.segments,
    passengers=NewBooking.model_validate(ASKED).order().passengers,
    total=Money(12_900, "USD"),
    payment_required_by=NOW + timedelta(minutes=15),
    active_payment_id=None,
    hold_open=True,
    due_at=NOW + timedelta(minutes=15),
    attempts=0,
    ver=1,
    created_at=NOW,
)
HOT: Mapping[str, Callable[[], object]] = {
    "check the JSON of a body": lambda: strict_json.check(BODY),
    "verify a token that was seen before": _token(),
    "read an order": lambda: NewBooking.model_validate(ASKED).order(under_key=False),
    "choose a seat on a flight that is half sold": lambda: assign(LAYOUT.cabins[0], HALF, 1),
    "decide about a hold": _decide,
    "write a hold for the wire": lambda: to_answers([DECISION], NOW),
    "read a hold from the wire": lambda: Hold.model_validate(SAID),
    "write a booking as JSON": lambda: to_answer(View(BOOKING, None, NOW)),
}


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def serve() -> None:
    """Do as the lines on stdin say: a name and how many times, and answer when it is done."""
    _say("ready")
    for line in sys.stdin:
        name, _, times = line.rstrip("\n").rpartition(" ")
        call = HOT.get(name, lambda: None)
        for _ in range(int(times)):
            call()
        _say("done")


if __name__ == "__main__":
    serve()
