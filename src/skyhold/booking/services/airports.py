"""Airports by their IATA codes: what they are called, and which time it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import airportsdata


@dataclass(frozen=True, slots=True)
class Airport:
    """An airport. One that nobody knows is called by its code and has no time zone."""

    code: str
    name: str
    city: str
    zone: ZoneInfo | None

    @property
    def place(self) -> str:
        """The city with the code, for a traveller: `Newark (EWR)`."""
        return _with_code(self.city, self.code)

    @property
    def building(self) -> str:
        """The name with the code, for who has to find it."""
        return _with_code(self.name, self.code)


def airport(code: str) -> Airport:
    """The airport with this code."""
    name, city, zone = _all().get(code, ("", "", ""))
    return Airport(code, name, city, _zone(zone))


@cache
def _all() -> Mapping[str, tuple[str, str, str]]:
    # Of the whole table, which takes a tenth of a second to read, only what is asked for is kept.
    return {
        code: (found["name"], found["city"], found["tz"])
        for code, found in airportsdata.load("IATA").items()
    }


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None  # older time zone data than the airports'


def _with_code(name: str, code: str) -> str:
    return f"{name} ({code})" if name else code
