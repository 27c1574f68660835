"""Everything that is known of one booking, for whoever has to find out what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skyhold.booking.clients.flights import Flights
from skyhold.booking.errors import BookingNotFound, FlightRefusal
from skyhold.booking.models.booking import Booking
from skyhold.booking.models.log import Entry
from skyhold.booking.models.payment import Payment
from skyhold.booking.repositories import booking_log, bookings, payments
from skyhold.contracts.holds import Hold
from skyhold.kernel.client import Unknown
from skyhold.kernel.db import Database
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Event
from skyhold.kernel.outbox import Outbox

log = get_logger(__name__)

EVENTS_MAX = 1_000
ENTRIES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Story:
    """A booking with its payments, events and log, and its hold as the flight service has it now.

    `hold` is None when there is none, and a sentence when the flight service could not be asked.
    """

    booking: Booking
    payments: Sequence[Payment]
    events: Sequence[Event]
    entries: Sequence[Entry]
    hold: Hold | str | None


@dataclass(frozen=True, slots=True)
class Stories:
    """Finds bookings by their id or record locator, whoever owns them."""

    db: Database
    outbox: Outbox
    flights: Flights

    async def tell(self, id_or_locator: str) -> Story:
        """The story of a booking. Raises BookingNotFound."""
        async with self.db.read() as tx:
            booking = await bookings.by_id(tx, id_or_locator.lower())
            if booking is None:
                booking = await bookings.by_locator(tx, id_or_locator.upper())
            if booking is None:
                raise BookingNotFound(f"There is no booking {id_or_locator}.")
            paid = await payments.of_booking(tx, booking.id)
            events = await self.outbox.about(tx, booking.id, EVENTS_MAX)
            entries = await booking_log.of_booking(tx, booking.id, after=None, limit=ENTRIES_MAX)
        return Story(booking, paid, events, entries, await self._hold(booking.id))

    async def _hold(self, booking_id: str) -> Hold | str | None:
        try:
            return await self.flights.look(booking_id)
        except (Unknown, FlightRefusal) as error:
            log.warning("story.no_hold", booking_id=booking_id, error=repr(error))
            return "the flight service did not say"
