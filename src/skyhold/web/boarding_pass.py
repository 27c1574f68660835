"""The bar-coded boarding pass of each passenger: its text, and the symbol that shows it.

The text is that of IATA Resolution 792 (BCBP), format M, as its Attachment A lays it out and the
IATA BCBP Implementation Guide (7th edition, 2018, section 2.2) explains it: 23 characters about the
passenger, then 37 about each flight. Every item has its place whether or not it is known; what is
not known is blank. All items here are mandatory ones, so each flight ends with `00`: nothing of
variable size follows, and the version number, which would be the first of that, neither.

Who has booked has not checked in: there is no check-in sequence number yet, and the passenger's
status says so. An airline finds the booking by this text, and checks its passenger in then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import segno

from .latin_names import in_latin

LEGS_MAX = 4  # of one symbol; a longer journey goes on in another
NAME_WIDTH = 20
UNKNOWN_SURNAME, UNKNOWN_GIVEN_NAME = "LNU", "FNU"  # last, first name unknown
# One of IATA's two characters or ICAO's three letters; a suffix tells two flights of a day apart.
FLIGHT_NUMBER = re.compile(r"([A-Z]{3}|[A-Z0-9]{2})([0-9]{1,4})([A-Z]?)", re.ASCII)
COMPARTMENTS = {"first": "F", "business": "C", "premium_economy": "W", "economy": "Y"}
NO_SEQUENCE_NUMBER = " " * 5
NOT_CHECKED_IN = "0"
NOTHING_FOLLOWS = "00"
QUIET_ZONE = 4  # modules, by ISO/IEC 18004


@dataclass(frozen=True, slots=True)
class Leg:
    """One flight as one passenger flies it; `departing_on` is the day where it leaves."""

    record_locator: str
    origin: str
    destination: str
    flight_number: str
    departing_on: date
    cabin: str
    seat: str

    @property
    def text(self) -> str:
        """Its 37 characters."""
        carrier, number, suffix = _parts(self.flight_number)
        return (
            f"{self.record_locator:7}"
            f"{self.origin:3}{self.destination:3}"
            f"{carrier:3}{number:04}{suffix:1}"
            f"{self.departing_on:%j}"
            f"{COMPARTMENTS[self.cabin]}"
            f"{self.seat:0>4}"
            f"{NO_SEQUENCE_NUMBER}{NOT_CHECKED_IN}{NOTHING_FOLLOWS}"
        )


@dataclass(frozen=True, slots=True)
class BoardingPass:
    """What one symbol says: who flies, and one to four flights."""

    given_name: str
    family_name: str
    legs: tuple[Leg, ...]

    @property
    def text(self) -> str:
        """The whole text: capital letters, digits, blanks and one stroke."""
        name = name_field(self.given_name, self.family_name)
        return f"M{len(self.legs)}{name}E" + "".join(leg.text for leg in self.legs)


def boarding_passes(booking: Mapping[str, Any]) -> list[list[BoardingPass]]:
    """Those of each passenger, in their order, of a booking as the public API shows it.

    One a passenger; another one for the fifth flight and those after it.
    """
    return [_of_passenger(booking, place) for place in range(len(booking["passengers"]))]


def name_field(given_name: str, family_name: str) -> str:
    """SURNAME/GIVEN in 20 characters: the surname is cut last, and never to the last letter.

    At least the first letter of the given name is there, so that families stay apart.
    """
    surname = in_latin(family_name) or UNKNOWN_SURNAME
    given = in_latin(given_name) or UNKNOWN_GIVEN_NAME
    name = f"{surname[: NAME_WIDTH - 2].rstrip()}/{given}"
    return f"{name[:NAME_WIDTH].rstrip():{NAME_WIDTH}}"


def symbol(text: str) -> str:
    """The text as a QR code, an SVG to put into a page: black on white whatever is around it.

    It has no size of its own, and its quiet zone is part of it.
    """
    drawn: str = segno.make_qr(text, error="m", boost_error=False).svg_inline(
        border=QUIET_ZONE,
        dark="#000",
        light="#fff",
        svgclass="symbol",
        lineclass=None,
        omitsize=True,
    )
    return drawn


def _of_passenger(booking: Mapping[str, Any], place: int) -> list[BoardingPass]:
    who = booking["passengers"][place]
    legs = [_leg(booking["record_locator"], it, place) for it in booking["segments"]]
    return [
        BoardingPass(who["given_name"], who["family_name"], tuple(legs[start : start + LEGS_MAX]))
        for start in range(0, len(legs), LEGS_MAX)
    ]


def _leg(record_locator: str, segment: Mapping[str, Any], place: int) -> Leg:
    return Leg(
        record_locator=record_locator,
        origin=segment["origin"],
        destination=segment["destination"],
        flight_number=segment["flight_number"],
        departing_on=datetime.fromisoformat(segment["departing_at"]).date(),
        cabin=segment["cabin"],
        seat=segment["seats"][place],
    )


def _parts(flight_number: str) -> tuple[str, int, str]:
    found = FLIGHT_NUMBER.fullmatch(flight_number)
    assert found is not None, f"{flight_number} is no flight number"
    carrier, number, suffix = found.groups()
    return carrier, int(number), suffix
