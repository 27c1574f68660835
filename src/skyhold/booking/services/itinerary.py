"""The journey for the traveller's calendar (iCalendar: RFC 5545, and RFC 5546 for its methods)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from icalendar import (
    Calendar,
    Timezone,
    TimezoneDaylight,
    TimezoneStandard,
    vCalAddress,
    vText,
)
from icalendar import Event as CalendarEvent

from skyhold.booking.models.booking import Booking, BookingStatus

from .airports import airport
from .look import View
from .news import Leg, News

PRODUCT = "-//Skyhold//Bookings//EN"
_FIRST_ENTRY = "BEGIN:VEVENT\r\n"


@dataclass(frozen=True, slots=True)
class Journey:
    """A booking's flights as they stood `at` an instant; `sequence` grows with each change."""

    booking: Booking
    legs: tuple[Leg, ...]
    at: datetime
    sequence: int

    @classmethod
    def told_by(cls, news: News) -> Journey:
        """As an event tells of them."""
        return cls(news.booking, news.legs(), news.event.occurred_at, news.event.sequence)

    @classmethod
    def seen_in(cls, view: View) -> Journey:
        """As they stand. A flight that does not go has taken its booking along."""
        booking = view.booking
        legs = tuple(Leg(segment, None) for segment in booking.segments)
        return cls(booking, legs, view.at, booking.ver)

    @property
    def method(self) -> str:
        """What a calendar is to do with it: PUBLISH, or CANCEL for a journey that is off."""
        return "CANCEL" if self.booking.status is BookingStatus.CANCELLED else "PUBLISH"


def calendar(journey: Journey, organizer: Address) -> str:
    """One event a flight, in the local times of its airports.

    A flight of a booking has the same UID in every calendar, and the booking's sequence grows: so
    what a traveller took into a calendar before is brought up to date, not doubled.
    """
    made = Calendar()
    made.add("PRODID", PRODUCT)
    made.add("VERSION", "2.0")
    made.add("METHOD", journey.method)
    flights: dict[str, list[Leg]] = {}
    for leg in journey.legs:  # two cabins of one flight are one entry
        flights.setdefault(leg.segment.flight_id, []).append(leg)
    for same_flight in flights.values():
        made.add_component(_entry(journey, same_flight, organizer))
    text: str = made.to_ical().decode()
    # Two time zones are five sixths of the lines, and the same for everybody who flies there.
    return text.replace(_FIRST_ENTRY, "".join(_timezones(journey.legs)) + _FIRST_ENTRY, 1)


def _entry(journey: Journey, legs: list[Leg], organizer: Address) -> CalendarEvent:
    booking, segment = journey.booking, legs[0].segment
    cancelled = journey.method == "CANCEL" or legs[0].is_cancelled
    seats = ", ".join(seat for leg in legs for seat in leg.segment.seats)
    departing_at, arriving_at = _local_times(legs[0])
    entry = CalendarEvent()
    entry.add("UID", f"{booking.id}.{segment.flight_id}@skyhold")
    entry.add("DTSTAMP", journey.at)
    entry.add("SEQUENCE", journey.sequence)
    entry.add("STATUS", "CANCELLED" if cancelled else "CONFIRMED")
    entry.add("ORGANIZER", _caladdress(organizer))
    entry.add("DTSTART", departing_at)
    entry.add("DTEND", arriving_at)
    entry.add("SUMMARY", f"{segment.flight_number} {segment.origin} → {segment.destination}")
    entry.add("LOCATION", airport(segment.origin).building)
    entry.add("DESCRIPTION", f"Booking {booking.record_locator}\nSeats {seats}")
    return entry


def _caladdress(who: Address) -> vCalAddress:
    address = vCalAddress(f"mailto:{who.addr_spec}")
    if who.display_name:
        address.params["CN"] = vText(who.display_name)
    return address


def _local_times(leg: Leg) -> tuple[datetime, datetime]:
    """The times on the clocks of the two airports."""
    segment = leg.segment
    return (
        _local(segment.departing_at, segment.origin),
        _local(segment.arriving_at, segment.destination),
    )


def _local(at: datetime, code: str) -> datetime:
    """UTC where nobody knows the airport, and for the second of two hours that look the same.

    A local time that comes twice means the first of both (RFC 5545, 3.3.5).
    """
    local = at.astimezone(airport(code).zone or UTC)
    return local.astimezone(UTC) if local.fold else local


def _timezones(legs: Iterable[Leg]) -> Iterator[str]:
    years: dict[str, list[int]] = {}
    for leg in legs:
        for time in _local_times(leg):
            if isinstance(time.tzinfo, ZoneInfo):
                years.setdefault(time.tzinfo.key, []).append(time.year)
    for key, seen in sorted(years.items()):
        yield _timezone(key, min(seen), max(seen))


@lru_cache(maxsize=512)
def _timezone(key: str, first_year: int, last_year: int) -> str:
    """A time zone as it is in these years.

    By hand: the library has the clocks go forward an hour late, and a flight that leaves in that
    hour would be shown at the wrong time. An onset is written in the time that it ends (RFC 5545,
    3.6.5).
    """
    zone = ZoneInfo(key)
    start = datetime(first_year, 1, 1, tzinfo=UTC) - timedelta(days=1)
    end = datetime(last_year + 1, 1, 1, tzinfo=UTC) + timedelta(days=1)
    made = Timezone()
    made.add("TZID", key)
    for onset in [start, *_changes(zone, start, end)]:
        now = onset.astimezone(zone)
        before = _offset(zone, onset if onset == start else onset - timedelta(seconds=1))
        part = TimezoneDaylight() if now.dst() else TimezoneStandard()
        part.add("DTSTART", (onset + before).replace(tzinfo=None))
        part.add("TZOFFSETFROM", before)
        part.add("TZOFFSETTO", _offset(zone, onset))
        part.add("TZNAME", now.tzname() or key)
        made.add_component(part)
    text: str = made.to_ical().decode()
    return text


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The first instants at which the clocks show another time than one second before."""
    days = [start + timedelta(days=day) for day in range((end - start).days + 1)]
    for before, after in pairwise(days):
        old = _offset(zone, before)
        if old == _offset(zone, after):
            continue
        low, high = 0, int((after - before).total_seconds())
        while high - low > 1:
            middle = (low + high) // 2
            unchanged = _offset(zone, before + timedelta(seconds=middle)) == old
            low, high = (middle, high) if unchanged else (low, middle)
        yield before + timedelta(seconds=high)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
