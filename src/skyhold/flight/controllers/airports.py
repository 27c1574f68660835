"""GET /api/v1/airports."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from skyhold.flight.schemas.flights import AirportOut
from skyhold.flight.services.schedule import Schedule
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
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.types import Matching

router = Routes(prefix="/api/v1/airports", tags=["airports"])


def schedule_of(request: Request) -> Schedule:
    """The schedule that this application was wired with."""
    schedule: Schedule = request.app.state.flight.schedule
    return schedule


SearchWords = Annotated[
    str,
    Query(max_length=64, description="A code, or words of a city's or airport's name"),
    Matching(r"[^\x00-\x1f\x7f]*", says="must be words"),
]


@router.get(
    "",
    summary="Airports by code, city or name",
    responses=documented(InvalidCursor),
)
async def list_airports(
    request: Request, q: SearchWords = "", limit: Limit = PAGE_DEFAULT, after: After = None
) -> Page[AirportOut]:
    """The best matches, an exact code first. Without `q` all airports, page by page."""
    start = "" if after is None else from_cursor(after, 1)[0]
    words = q.strip()
    found = await schedule_of(request).airports(words, after=start, limit=limit)
    more = not words and len(found) == limit
    return Page(
        data=[AirportOut.of(airport) for airport in found],
        next=to_cursor(found[-1].code) if more else None,
    )
