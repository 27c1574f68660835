"""How much somebody may hold without paying for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The seats of somebody's unpaid bookings, by the ids of those bookings.
Hoard = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ceiling:
    """At most so many unpaid bookings, and so many seats in them."""

    bookings_max: int
    seats_max: int

    def admits(self, hoard: Hoard) -> bool:
        """Whether somebody may hold all of this at once."""
        return len(hoard) <= self.bookings_max and sum(hoard.values()) <= self.seats_max
