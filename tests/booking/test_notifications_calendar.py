"""The calendar that comes with a letter: right times, wherever and whenever."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Timezone
from notifications_stage import (
    CANCELLED,
    FLIGHT,
    NOW,
    RESCHEDULED,
    a_payment,
    a_segment,
    calendar_of,
    letters,
    news,
    read,
)

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import Failure, PaymentStatus
from skyhold.booking.services.itinerary import _timezone

OUTWARD = a_segment()
BACK = a_segment("2026-12-08T09:00:00-06:00", "2026-12-08T13:10:00-05:00", "IAH-EWR")
REFUND = a_payment(PaymentStatus.REFUND_DUE)


def calendar(type_="booking.confirmed", *segments, **more):
    """The calendar as a mail program reads it."""
    found = calendar_of(read(letters.compose(news(type_, *segments, **more))))
    assert found is not None
    assert not found.errors
    return found


# Everything the calendar must show is in the segment: what the clocks say at both ends.
ACROSS = {
    "time zones": ("2026-12-01T05:15:00-05:00", "2026-12-01T08:19:00-06:00", "EWR-IAH"),
    "clocks going forward": ("2027-03-13T23:00:00-05:00", "2027-03-14T05:10:00-04:00", "JFK-SJU"),
    "the hour after that": ("2027-03-14T03:20:00-04:00", "2027-03-14T06:00:00-04:00", "JFK-MIA"),
    "clocks going back": ("2026-10-31T22:30:00-07:00", "2026-11-01T06:40:00-05:00", "LAX-JFK"),
    "the hour that comes twice": (
        "2026-11-01T01:30:00-05:00",
        "2026-11-01T04:00:00-05:00",
        "JFK-MIA",
    ),
    "its first time": ("2026-11-01T01:30:00-04:00", "2026-11-01T03:00:00-05:00", "JFK-MIA"),
    "the date line westward": ("2026-07-01T23:30:00-07:00", "2026-07-03T07:15:00+12:00", "LAX-AKL"),
    "the date line eastward": ("2026-07-03T20:00:00+12:00", "2026-07-03T13:00:00-07:00", "AKL-LAX"),
    "the turn of the year": ("2026-12-31T21:00:00-05:00", "2027-01-01T09:00:00+00:00", "JFK-LHR"),
    "half an hour": ("2027-04-04T01:30:00+11:00", "2027-04-04T03:30:00+10:00", "LDH-SYD"),
}


@pytest.mark.parametrize("times", ACROSS.values(), ids=ACROSS)
def test_the_local_times_are_those_of_the_flight(times):
    segment = a_segment(*times)
    (event,) = calendar("booking.confirmed", segment).events
    for name, promised in (("DTSTART", segment.departing_at), ("DTEND", segment.arriving_at)):
        shown = event[name]
        assert shown.dt.astimezone(UTC) == promised.astimezone(UTC)
        if "TZID" in shown.params:
            assert shown.dt.replace(tzinfo=None) == promised.replace(tzinfo=None)


def test_the_second_of_two_hours_that_look_the_same_is_told_in_utc():
    """In local time it would mean the first one (RFC 5545, 3.3.5)."""
    (first,) = calendar("booking.confirmed", a_segment(*ACROSS["its first time"])).events
    (second,) = calendar(
        "booking.confirmed", a_segment(*ACROSS["the hour that comes twice"])
    ).events
    assert first["DTSTART"].to_ical() == b"20261101T013000"
    assert second["DTSTART"].to_ical() == b"20261101T063000Z"


@pytest.mark.parametrize("times", ACROSS.values(), ids=ACROSS)
def test_a_program_without_time_zones_of_its_own_finds_the_same_instants(times):
    """It has the VTIMEZONE components alone to go by."""
    segment = a_segment(*times)
    made = calendar("booking.confirmed", segment)
    assert not made.get_missing_tzids()
    (event,) = made.events
    zones = {str(zone["TZID"]): zone for zone in made.timezones}
    for name, promised in (("DTSTART", segment.departing_at), ("DTEND", segment.arriving_at)):
        told = event[name]
        zone = zones.get(told.params.get("TZID"))
        wall = told.dt.replace(tzinfo=None)
        assert (_instant(wall, zone) if zone else told.dt) == promised.astimezone(UTC)


def test_a_return_next_summer_is_in_the_same_time_zones():
    back = a_segment("2027-07-08T09:00:00-05:00", "2027-07-08T13:10:00-04:00", "IAH-EWR")
    made = calendar("booking.confirmed", OUTWARD, back)
    zones = {str(zone["TZID"]): zone for zone in made.timezones}
    assert len(made.timezones) == len(zones) == 2
    for event, segment in zip(made.events, (OUTWARD, back), strict=True):
        for name, promised in (("DTSTART", segment.departing_at), ("DTEND", segment.arriving_at)):
            wall = event[name].dt.replace(tzinfo=None)
            assert _instant(wall, zones[event[name].params["TZID"]]) == promised


def _instant(wall, zone):
    """By the rule of RFC 5545, 3.6.5: the latest observance that began on or before it."""
    parts = [*zone.standard, *zone.daylight]
    begun = [part for part in parts if wall >= part.DTSTART]
    now = max(begun, key=lambda part: part.DTSTART)
    return (wall - now.TZOFFSETTO).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "key",
    ["America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Asia/Tokyo", "Africa/Casablanca"],
)
def test_a_time_zone_changes_when_the_clocks_do(key):
    zone = ZoneInfo(key)
    made = Timezone.from_ical(_timezone(key, 2026, 2027))
    assert len([*made.standard, *made.daylight]) == (1 if key == "Asia/Tokyo" else 5)
    for number, part in enumerate(made.subcomponents):
        onset = (part.DTSTART - part.TZOFFSETFROM).replace(tzinfo=UTC)
        before = onset - timedelta(seconds=number > 0)
        assert before.astimezone(zone).utcoffset() == part.TZOFFSETFROM
        assert onset.astimezone(zone).utcoffset() == part.TZOFFSETTO
        assert (part.name == "DAYLIGHT") == bool(onset.astimezone(zone).dst())
        assert (part.TZOFFSETFROM == part.TZOFFSETTO) == (number == 0)


@pytest.fixture
def _in_tokyo():
    """The server stands in another time zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_an_unknown_airport_has_its_times_in_utc():
    made = calendar("booking.confirmed", a_segment(route="QQQ-IAH"))
    (event,) = made.events
    assert event["DTSTART"].to_ical() == b"20261201T101500Z"
    assert event["DTEND"].params["TZID"] == "America/Chicago"
    assert event["LOCATION"] == "QQQ"


def test_each_flight_is_an_event_that_says_where_and_which_seats():
    made = calendar("booking.confirmed", OUTWARD, BACK)
    first, second = made.events
    assert (first["SUMMARY"], second["SUMMARY"]) == ("UA1545 EWR → IAH", "UA1545 IAH → EWR")
    assert first["LOCATION"] == "Newark Liberty International Airport (EWR)"
    assert first["DESCRIPTION"] == "Booking K7Q2MX\nSeats 12A, 12B"
    assert first["DTSTAMP"].dt == NOW
    assert first["ORGANIZER"] == "mailto:bookings@skyhold.example"
    assert first["ORGANIZER"].params["CN"] == "Skyhold"


def test_two_cabins_of_one_flight_are_one_event():
    business = a_segment(cabin="business", seats=["2A", "2B"])
    (event,) = calendar("booking.confirmed", OUTWARD, business).events
    assert event["DESCRIPTION"] == "Booking K7Q2MX\nSeats 12A, 12B, 2A, 2B"


def test_a_confirmation_is_published():
    letter = read(letters.compose(news("booking.confirmed")))
    made = calendar_of(letter)
    assert (made["VERSION"], made["METHOD"]) == ("2.0", "PUBLISH")
    assert [event["STATUS"] for event in made.events] == ["CONFIRMED"]
    (part,) = (part for part in letter.walk() if part.get_content_type() == "text/calendar")
    assert part.get_param("method") == "PUBLISH"
    assert part.get_filename() == "K7Q2MX.ics"
    assert b"\r\n" in part.get_payload(decode=True)
    assert b"\n" not in part.get_payload(decode=True).replace(b"\r\n", b"")


def test_a_cancellation_takes_the_events_out_again():
    made = calendar("booking.cancelled", OUTWARD, BACK, payment=REFUND)
    assert made["METHOD"] == "CANCEL"
    assert [event["STATUS"] for event in made.events] == ["CANCELLED", "CANCELLED"]


@pytest.mark.parametrize(
    "payment",
    [
        None,
        a_payment(PaymentStatus.VOID_DUE, Failure.DECLINED),
        a_payment(PaymentStatus.REFUND_DUE, Failure.CAPTURE_REFUSED),  # captured all the same
    ],
)
def test_what_was_never_confirmed_is_in_nobodys_calendar(payment):
    letter = letters.compose(news("booking.cancelled", payment=payment))
    assert calendar_of(read(letter)) is None


def test_a_flight_change_moves_the_event_and_an_unpaid_booking_has_none():
    (event,) = calendar("booking.flight_changed", changes=[RESCHEDULED]).events
    assert event["DTSTART"].dt == datetime.fromisoformat(RESCHEDULED["now"]["departing_at"])
    assert event["DTEND"].dt == datetime.fromisoformat(RESCHEDULED["now"]["arriving_at"])
    held = news("booking.flight_changed", status=BookingStatus.HELD, changes=[RESCHEDULED])
    assert calendar_of(read(letters.compose(held))) is None


def test_only_the_flight_that_will_not_fly_is_cancelled():
    made = calendar("booking.flight_changed", OUTWARD, BACK, changes=[CANCELLED])
    assert made["METHOD"] == "PUBLISH"
    assert [event["STATUS"] for event in made.events] == ["CANCELLED", "CONFIRMED"]


def test_the_uids_stay_and_the_sequence_grows():
    story = [
        ("booking.confirmed", {"sequence": 4}),
        ("booking.flight_changed", {"sequence": 5, "changes": [RESCHEDULED]}),
        ("booking.cancelled", {"sequence": 7, "payment": REFUND}),
    ]
    told = [calendar(type_, OUTWARD, BACK, **more).events for type_, more in story]
    booking_id = news("booking.held").booking.id
    uids = [f"{booking_id}.{flight}@skyhold" for flight in (FLIGHT, "UA1545-2026-12-08-IAH")]
    assert [[event["UID"] for event in events] for events in told] == [uids] * 3
    assert [[event["SEQUENCE"] for event in events] for events in told] == [
        [4] * 2,
        [5] * 2,
        [7] * 2,
    ]


@pytest.mark.parametrize(
    "number",
    ["UA1\r\nATTENDEE:mailto:eve@example.com", "UA1\nEND:VEVENT\nBEGIN:VALARM", "UA;,:\\1"],
)
def test_a_flights_facts_cannot_add_a_line(number):
    plain = calendar("booking.confirmed", OUTWARD)
    made = calendar("booking.confirmed", a_segment(flight_number=number))
    assert [part.name for part in made.walk()] == [part.name for part in plain.walk()]
    assert set(made.events[0]) == set(plain.events[0])
