"""The calendar file of a booking, for whoever may see the booking."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.headerregistry import Address

from skyhold.booking.errors import NotConfirmed
from skyhold.kernel.identity import Identity

from .bookings import Bookings
from .itinerary import Journey, calendar
from .news import was_confirmed


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """What a browser keeps: a name, and iCalendar text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Calendars:
    """The same calendars that come with letters, at any time; `organizer` is who sends those."""

    bookings: Bookings
    organizer: Address

    async def of(self, person: Identity, booking_id: str) -> CalendarFile:
        """The flights of a booking that is confirmed, or cancelled after it was.

        Raises BookingNotFound, and NotConfirmed for all others.
        """
        view = await self.bookings.get(person, booking_id)
        if not was_confirmed(view.booking, view.payment):
            raise NotConfirmed
        # In a thread: the first one reads airports and time zones.
        text = await asyncio.to_thread(calendar, Journey.seen_in(view), self.organizer)
        return CalendarFile(f"skyhold-{view.booking.record_locator}.ics", text)
