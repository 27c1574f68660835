"""Who is on a flight that is about to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skyhold.web.api import Api

LIVE = ("confirmed", "paying", "held")
PAGE, PAGES_MAX = 100, 10


@dataclass(frozen=True, slots=True)
class Affected:
    """Bookings that have seats on the flight; `complete` says whether these are all of them."""

    bookings: Sequence[Mapping[str, Any]]
    complete: bool

    @property
    def passengers(self) -> int:
        """How many people they are."""
        return sum(len(booking["passengers"]) for booking in self.bookings)

    def count(self, status: str) -> int:
        """How many of the bookings are in this state."""
        return sum(booking["status"] == status for booking in self.bookings)


async def affected_by(api: Api, flight_id: str) -> Affected:
    """Those that are confirmed, being paid or held, of each at most PAGES_MAX pages."""
    found: list[Mapping[str, Any]] = []
    complete = True
    for status in LIVE:
        after = None
        for _ in range(PAGES_MAX):
            page = await api.get(
                "/api/v1/desk/bookings",
                flight_id=flight_id,
                status=status,
                limit=PAGE,
                after=after,
            )
            found += page["data"]
            if (after := page["next"]) is None:
                break
        complete = complete and after is None
    return Affected(found, complete)
