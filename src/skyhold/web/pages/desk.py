"""The desk's first page, and what waits to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.responses import Response

from skyhold.web import charts
from skyhold.web.api import Away
from skyhold.web.visit import Handler, Visit, staff_only

OVERVIEW = "/api/v1/desk/overview"
DONE = ("created", "confirmed", "expired", "cancelled")


@staff_only
async def front(visit: Visit) -> Response:
    """Where to look something up, and how the service is doing.

    Bookings can be looked up also while nobody can say the latter.
    """
    try:
        seen = await visit.api.get(OVERVIEW)
    except Away:
        return visit.show("desk/front.html", seen=None)
    states = [(it["status"], it["bookings"]) for it in seen["states"]]
    return visit.show(
        "desk/front.html",
        seen=seen,
        waiting=_waiting(seen),
        states=charts.lying("Bookings made in the last 48 hours, by their state now", states),
        hours=_by_hour(seen["hours"]),
    )


@staff_only
async def queues(visit: Visit) -> Response:
    """Everything that waits, and how the last audit ended."""
    seen = await visit.api.get(OVERVIEW)
    return visit.show("desk/queues.html", seen=seen, waiting=_waiting(seen))


def _waiting(seen: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [queue for queue in seen["queues"] if queue["due"] or queue["overdue"]]


def _by_hour(hours: Sequence[Mapping[str, Any]]) -> list[charts.Chart]:
    most = max((hour[what] for hour in hours for what in DONE), default=0)
    return [
        charts.standing(
            f"{what.capitalize()} by hour",
            [(_hour(hour["begins_at"]), hour[what]) for hour in hours],
            most,
        )
        for what in DONE
    ]


def _hour(begins_at: str) -> str:
    at = datetime.fromisoformat(begins_at)
    return f"{at.day} {at:%b, %H:%M}"


ROUTES: list[tuple[str, str, Handler]] = [
    ("/desk", "GET", front),
    ("/desk/queues", "GET", queues),
]
