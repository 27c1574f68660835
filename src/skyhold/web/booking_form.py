"""What is asked for on the booking page: in its address, and typed into its form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from skyhold.kernel.ids import UUID

from .forms import Form
from .visit import Visit

SEGMENTS_MAX = 4
PARTY_MAX = 9
FIELDS = ("given_name", "family_name", "born_on", "type")
FILL_IN = "Please fill this in."
ALL_OR_NONE = "Choose a seat for everybody on this flight, or let us choose for all."

_KEY = re.compile(UUID.pattern, re.ASCII)
_MONEY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ([A-Z]{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """The flights of the journey, the cabin and how many fly.

    Its `key` stands in the address, so that reload, the back button and a second press of the
    button all mean the same booking.
    """

    flights: tuple[str, ...]
    cabin: str
    party: int
    key: str

    @classmethod
    def of(cls, visit: Visit) -> Wish | None:
        """From the address; None if that makes no sense."""
        flights = tuple(dict.fromkeys(visit.queries("flight")))
        party = visit.query("passengers", "1")
        if not 1 <= len(flights) <= SEGMENTS_MAX or not re.fullmatch("[1-9]", party, re.ASCII):
            return None
        key = visit.query("key")
        return cls(
            flights,
            visit.query("cabin") or "economy",
            int(party),
            key if _KEY.fullmatch(key) else "",
        )

    def afresh(self, key: str) -> Wish:
        """The same once more: another booking."""
        return replace(self, key=key)

    @property
    def url(self) -> str:
        """The address of its page."""
        flights = [("flight", flight) for flight in self.flights]
        return "/book?" + urlencode(
            [*flights, ("cabin", self.cabin), ("passengers", self.party), ("key", self.key)]
        )


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, as it was typed: the passengers, and of each flight their seats.

    A seat is "" where we are to choose. `expected` is the price that was shown: "258.00 USD".
    """

    passengers: tuple[Mapping[str, str], ...]
    seats: tuple[tuple[str, ...], ...]
    expected: str

    @classmethod
    def of(cls, form: Form, wish: Wish) -> Typed:
        """From the form; what is missing is empty."""
        columns = {name: form.all(name) for name in FIELDS}
        seats = form.all("seat")
        return cls(
            tuple(
                {name: _at(column, place) for name, column in columns.items()}
                for place in range(wish.party)
            ),
            tuple(
                tuple(_at(seats, segment * wish.party + place) for place in range(wish.party))
                for segment in range(len(wish.flights))
            ),
            form.text("expected_total"),
        )

    def problems(self) -> dict[str, str]:
        """What can be told without asking anybody, by field: `passengers.0.given_name`."""
        found = {
            f"passengers.{place}.{name}": FILL_IN
            for place, who in enumerate(self.passengers)
            for name in ("given_name", "family_name")
            if not who[name]
        }
        for segment, seats in enumerate(self.seats):
            if any(seats):
                open_places = [place for place, seat in enumerate(seats) if not seat]
                found |= {f"seats.{segment}.{place}": ALL_OR_NONE for place in open_places}
        return found

    def body(self, wish: Wish) -> dict[str, Any]:
        """What the API is asked for."""
        body: dict[str, Any] = {
            "segments": [
                {"flight_id": flight, "cabin": wish.cabin}
                | ({"seats": list(seats)} if any(seats) else {})
                for flight, seats in zip(wish.flights, self.seats, strict=True)
            ],
            "passengers": [
                {name: value for name, value in who.items() if value} for who in self.passengers
            ],
        }
        if shown := _MONEY.fullmatch(self.expected):
            body["expected_total"] = {"amount": shown[1], "currency": shown[2]}
        return body


def _at(values: list[str], place: int) -> str:
    return values[place] if place < len(values) else ""
