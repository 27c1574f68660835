"""How money, times and words of the API are shown to people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime

_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?")
CABINS = {
    "first": "First",
    "business": "Business",
    "premium_economy": "Premium economy",
    "economy": "Economy",
}
STATUSES = {
    "held": "Held for you, not paid yet",
    "paying": "Being paid",
    "confirmed": "Confirmed",
    "expired": "Expired: it was not paid in time",
    "cancelled": "Cancelled",
}


def money(amount: Mapping[str, str]) -> str:
    """129.00 USD."""
    return f"{amount['amount']} {amount['currency']}"


def clock(instant: str) -> str:
    """05:15, on the clock of the place that the instant carries."""
    return f"{_read(instant):%H:%M}"


def day(instant: str) -> str:
    """Tue 1 Dec 2026, on the calendar of the place."""
    at = _read(instant) if "T" in instant else date.fromisoformat(instant)
    return f"{at:%a} {at.day} {at:%b %Y}"


def zone(instant: str) -> str:
    """UTC-05:00."""
    return f"{_read(instant):%Z}" or "UTC"


def moment(instant: str) -> str:
    """1 Dec 2026, 10:15 UTC."""
    at = _read(instant)
    return f"{at.day} {at:%b %Y, %H:%M:%S} {'UTC' if not at.utcoffset() else zone(instant)}"


def days_later(arriving_at: str, departing_at: str) -> int:
    """How many calendar days later it is where one arrives."""
    return (_read(arriving_at).date() - _read(departing_at).date()).days


def duration(text: str) -> str:
    """4 h 04 min, of ISO 8601's PT4H4M."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return text
    hours, minutes = (int(part or 0) for part in found.groups())
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def took(arriving_at: str, departing_at: str) -> str:
    """How long a flight takes, from its two local times."""
    minutes = int((_read(arriving_at) - _read(departing_at)).total_seconds() // 60)
    return duration(f"PT{minutes // 60}H{minutes % 60}M")


def cabin(name: str) -> str:
    """Premium economy."""
    return CABINS.get(name, name)


def status(name: str) -> str:
    """What a booking's status means to whoever made it."""
    return STATUSES.get(name, name)


def numbers_by_flight(segments: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The flight number of each flight, by its id."""
    return {segment["flight_id"]: segment["flight_number"] for segment in segments}


def words(name: str) -> str:
    """Payment started, of payment_started."""
    return name.replace("_", " ").capitalize()


def _read(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


ALL = {
    it.__name__: it
    for it in (
        money,
        clock,
        day,
        zone,
        moment,
        days_later,
        took,
        cabin,
        status,
        words,
        numbers_by_flight,
    )
}
