"""What a traveller takes along: the itinerary with its boarding codes, and the calendar file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from skyhold.web.api import Away, Refused
from skyhold.web.boarding_pass import BoardingPass, boarding_passes, symbol
from skyhold.web.visit import Handler, Visit, signed_in

from .a_booking import address_of


@dataclass(frozen=True, slots=True)
class Code:
    """A boarding pass as it is shown: `symbol` is an SVG, `text` what a reader finds in it."""

    given_name: str
    family_name: str
    flights: str
    symbol: str
    text: str


@signed_in
async def itinerary(visit: Visit) -> Response:
    """Made to be printed, or to be held under a reader at the airport."""
    booking = await visit.api.get(address_of(visit))
    if booking["status"] != "confirmed":
        return visit.go(f"/bookings/{booking['id']}", "not_confirmed")
    flight_ids = dict.fromkeys(segment["flight_id"] for segment in booking["segments"])
    aircraft = await asyncio.gather(*(_aircraft(visit, each) for each in flight_ids))
    # In a thread: a symbol takes some milliseconds, and there may be a dozen.
    codes = await asyncio.to_thread(_codes, booking)
    return visit.show(
        "itinerary.html",
        booking=booking,
        aircraft=dict(zip(flight_ids, aircraft, strict=True)),
        codes=codes,
    )


@signed_in
async def calendar(visit: Visit) -> Response:
    """The API's file, as it is."""
    try:
        file = await visit.api.file(f"{address_of(visit)}/calendar")
    except Refused as error:
        if error.code != "not_confirmed":
            raise
        return visit.go(f"/bookings/{visit.part('booking_id')}", error.code)
    headers = {"content-type": file.media_type, "content-disposition": file.disposition}
    return Response(file.content, headers=headers)


async def _aircraft(visit: Visit, flight_id: str) -> str | None:
    """What flies there; an itinerary is made without it when nobody can say."""
    try:
        flight: Mapping[str, Any] = await visit.api.get(f"/api/v1/flights/{flight_id}")
    except (Refused, Away):
        return None
    return str(flight["aircraft"])


def _codes(booking: Mapping[str, Any]) -> Sequence[Code]:
    return [_code(each) for passes in boarding_passes(booking) for each in passes]


def _code(boarding_pass: BoardingPass) -> Code:
    return Code(
        boarding_pass.given_name,
        boarding_pass.family_name,
        ", ".join(f"{leg.flight_number} {leg.seat}" for leg in boarding_pass.legs),
        symbol(boarding_pass.text),
        boarding_pass.text,
    )


ROUTES: list[tuple[str, str, Handler]] = [
    ("/bookings/{booking_id}/itinerary", "GET", itinerary),
    ("/bookings/{booking_id}/calendar.ics", "GET", calendar),
]
