"""What staff ask at the desk: bookings by what a traveller can tell, and the whole of one."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.booking.errors import BookingNotFound
from skyhold.booking.models.booking import Position
from skyhold.booking.models.wanted import Wanted
from skyhold.booking.repositories import bookings, desk, payments
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.identity import Identity

from .look import View
from .story import Stories, Story
from .timeline import Timelines


@dataclass(frozen=True, slots=True)
class Desk:
    """Bookings of others, for staff. Whatever is shown was written down before, as a look."""

    db: Database
    timelines: Timelines
    stories: Stories
    clock: Clock

    async def find(
        self, person: Identity, wanted: Wanted, *, after: Position | None, limit: int
    ) -> tuple[list[View], Position | None]:
        """A page of the bookings that are wanted, the newest first, and where to go on."""
        async with self.db.read() as tx:
            found = await desk.found(tx, wanted, after=after, limit=limit + 1)
            page = found[:limit]
            paid = await payments.latest(tx, [booking.id for booking in page])
        await self.timelines.note_found(person, page)
        views = [View(booking, paid.get(booking.id), self.clock.now()) for booking in page]
        last = page[-1] if len(found) > limit else None
        return views, Position(last.created_at, last.id) if last else None

    async def story(self, person: Identity, booking_id: str) -> Story:
        """Everything that is known of a booking, this look included. Raises BookingNotFound."""
        async with self.db.read() as tx:
            booking = await bookings.by_id(tx, booking_id)
        if booking is None:
            raise BookingNotFound
        await self.timelines.note_view(person, booking)
        return await self.stories.tell(booking_id)
