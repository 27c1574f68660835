"""GET /api/v1/airports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from skyhold.flight.schemas.flights import AirportOut
from skyhold.flight.services.schedule import Schedule
from skyhold.kernel.errors import Unprocessable
from skyhold.kernel.http.pages import (
    PAGE_DEFAULT,
    After,
    InvalidCursor,
    Limit,
    Page,
    from_cursor,
    to_cursor,
)
from skyhold.kernel.http.problems import documented
from skyhold.kernel.types import Matching

router = APIRouter(prefix="/api/v1/airports", tags=["airports"])


def schedule_of(request: Request) -> Schedule:
    """The schedule that this application was wired with."""
    schedule: Schedule = request.app.state.flight.schedule
    return schedule


Flights = Annotated[Schedule, Depends(schedule_of)]
SearchWords = Annotated[
    str,
    Query(max_length=64, description="A code, or words of a city's or airport's name"),
    Matching(r"[^\x00-\x1f\x7f]*", says="must be words"),
]


@router.get(
    "",
    summary="Airports by code, city or name",
    responses=documented(Unprocessable, InvalidCursor),
)
async def list_airports(
    flights: Flights, q: SearchWords = "", limit: Limit = PAGE_DEFAULT, after: After = None
) -> Page[AirportOut]:
    """The best matches, an exact code first. Without `q` all airports, page by page."""
    start = from_cursor(after, 1)[0] if after else ""
    words = q.strip()
    found = await flights.airports(words, after=start, limit=limit)
    more = not words and len(found) == limit
    return Page(
        data=[AirportOut.of(airport) for airport in found],
        next=to_cursor(found[-1].code) if more else None,
    )
