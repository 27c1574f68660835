"""Who may see a booking, what was done to it, and who has looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from skyhold.booking.errors import BookingNotFound
from skyhold.booking.models.booking import Booking
from skyhold.booking.models.log import Actor, Entry, Mark
from skyhold.booking.repositories import booking_log, bookings
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Duplicate
from skyhold.kernel.identity import Identity
from skyhold.kernel.logging import get_logger

from .notes import viewed

log = get_logger(__name__)

# Going through the pages of a timeline for so long is one look at it. Were each page another one,
# every page would add to the end of what is being read, and who reads one by one never got there.
LOOK_S = 600


def is_accessible(person: Identity, booking: Booking) -> bool:
    """Whether this person may see a booking: their own, and staff anybody's."""
    return person.is_staff or booking.user_id == person.user_id


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of a booking's log, for its owner or else for staff; `more` is where it goes on."""

    entries: Sequence[Entry]
    more: Mark | None
    for_owner: bool


@dataclass(frozen=True, slots=True)
class Timelines:
    """Reads bookings' logs, and writes down which of the staff have looked at a booking."""

    db: Database
    clock: Clock

    async def page(
        self, person: Identity, booking_id: str, *, after: Mark | None, limit: int
    ) -> Timeline:
        """What was done to a booking, the oldest first. Raises BookingNotFound."""
        async with self.db.read() as tx:
            booking = await bookings.by_id(tx, booking_id)
            if booking is None or not is_accessible(person, booking):
                raise BookingNotFound
            looking = after is not None and await booking_log.viewed_by(
                tx,
                [booking_id],
                person.user_id,
                since=self.clock.now() - timedelta(seconds=LOOK_S),
            )
        if not looking:
            await self.note_view(person, booking)
        async with self.db.read() as tx:
            found = await booking_log.of_booking(tx, booking_id, after=after, limit=limit + 1)
        page = found[:limit]
        more = Mark(page[-1].at, page[-1].id) if len(found) > limit else None
        return Timeline(page, more, for_owner=booking.user_id == person.user_id)

    async def note_view(self, person: Identity, booking: Booking) -> None:
        """Write down that somebody of the staff sees another's booking; their own is theirs."""
        await self._note(person, [booking])

    async def note_found(self, person: Identity, found: Sequence[Booking]) -> None:
        """The same for a list of them, in one transaction.

        As with the pages of a timeline, whoever looked at one a moment ago is still looking at it.
        """
        since = self.clock.now() - timedelta(seconds=LOOK_S)
        async with self.db.read() as tx:
            seen = await booking_log.viewed_by(
                tx, [booking.id for booking in found], person.user_id, since=since
            )
        await self._note(person, [booking for booking in found if booking.id not in seen])

    async def _note(self, person: Identity, seen: Sequence[Booking]) -> None:
        others = [booking for booking in seen if booking.user_id != person.user_id]
        if not others:
            return
        # Made outside, so that a run after an unheard COMMIT finds its own entries there.
        by, at = Actor.staff(person.user_id), self.clock.now()
        entries = [viewed(booking, by, at) for booking in others]
        try:
            await self.db.transact(lambda tx: booking_log.add(tx, *entries))
        except Duplicate as error:
            if not error.after_unknown:
                raise
        for booking in others:
            log.info("booking.viewed", booking_id=booking.id, by=person.user_id)
