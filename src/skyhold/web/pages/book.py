"""Choose seats, say who flies, and hold the seats.

Nobody books twice by accident. The Idempotency-Key stands in the page's address, and a form that is
sent again under it is the same booking. Sent with something changed after it has made a booking, it
makes none: the page says so, and has a fresh key for whoever does want a second one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from skyhold.kernel.money import Money
from skyhold.web.api import Away, Refused
from skyhold.web.booking_form import Typed, Wish
from skyhold.web.forms import Form
from skyhold.web.seat_map import Drawing, draw, taken_and_free
from skyhold.web.visit import Handler, Visit, as_part, signed_in

Json = Mapping[str, Any]
OK, UNAUTHORIZED, NOT_FOUND, CONFLICT, UNPROCESSABLE, AWAY = 200, 401, 404, 409, 422, 503
HELD_MAX = 10  # bookings of this person that are looked at
OVER = frozenset({"expired", "cancelled"})
SAYS_AGAIN = (
    "This form was sent before, with something else in it, and may have made a booking: look at My "
    "bookings first. Nothing was booked now. To book this as well, press the button again."
)
SAYS_OVER = (
    "The booking that this form made is over: it is {status}. Nothing was booked now. To book "
    "anew, press the button again."
)
SAYS_UNKNOWN = (
    "There was no clear answer, so we do not know whether the seats are held. Press the button "
    "again: however often, it is one booking."
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A flight of the journey: its facts, the price of a seat, and its seats."""

    flight: Json
    fare: Json
    seat_map: Json

    def drawing(self, cabin: str, chosen: Sequence[str], *, keep: bool) -> Drawing:
        """Its seat map with these seats chosen; see `draw` for `keep`."""
        return draw(self.seat_map, cabin, self.fare, chosen, keep=keep)

    @property
    def free(self) -> frozenset[str]:
        """The seats that can be had."""
        return taken_and_free(self.seat_map)[1]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing was booked, with the status of the page that says it.

    `may_be_ours` where the seats that were chosen are perhaps held for this very form.
    """

    status: int
    says: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    may_be_ours: bool = False


@signed_in
async def choose(visit: Visit) -> Response:
    """The empty form, under a key of its own."""
    wish = Wish.of(visit)
    if wish is None:
        return visit.go("/")
    if not wish.key:
        return visit.go(wish.afresh(visit.fresh_key()).url)
    return await _show(visit, wish, Typed.of(Form(), wish))


async def hold(visit: Visit) -> Response:
    """Book it; whatever stands in the way is said on the same page, with all that was typed."""
    wish = Wish.of(visit)
    if wish is None:
        return visit.go("/")
    if visit.person is None or not wish.key:
        return visit.go(wish.url)  # which leads past the sign-in
    typed = Typed.of(await visit.form(), wish)
    if problems := typed.problems():
        return await _show(visit, wish, typed, Trouble(UNPROCESSABLE, problems=problems))
    return await _book(visit, wish, typed)


async def _book(visit: Visit, wish: Wish, typed: Typed) -> Response:
    try:
        booking = await visit.api.post("/api/v1/bookings", typed.body(wish), key=wish.key)
    except Away:
        return await _show(visit, wish, typed, Trouble(AWAY, SAYS_UNKNOWN, may_be_ours=True))
    except Refused as error:
        return await _refused(visit, wish, typed, error)
    if booking["status"] in OVER:
        says = SAYS_OVER.format(status=booking["status"])
        return await _show(visit, _another(visit, wish), typed, Trouble(CONFLICT, says))
    return visit.go(f"/bookings/{booking['id']}", "held")


async def _refused(visit: Visit, wish: Wish, typed: Typed, error: Refused) -> Response:
    if error.status in {UNAUTHORIZED, NOT_FOUND}:
        raise error
    if error.code == "idempotency_key_reused":
        trouble = Trouble(error.status, SAYS_AGAIN)
        return await _show(visit, _another(visit, wish), typed, trouble)
    at_fields = {it["field"]: it["message"] for it in error.errors}
    others = [says for name, says in at_fields.items() if not name.startswith("passengers.")]
    says = " ".join(others) if at_fields else error.detail
    return await _show(visit, wish, typed, Trouble(error.status, says, at_fields, error.code))


def _another(visit: Visit, wish: Wish) -> Wish:
    return wish.afresh(visit.fresh_key())


async def _show(visit: Visit, wish: Wish, typed: Typed, trouble: Trouble | None = None) -> Response:
    segments, held = await asyncio.gather(_segments(visit, wish), _held(visit, wish))
    if segments is None:
        return visit.show(
            "error.html", NOT_FOUND, title="That is not sold here", says="Please search again."
        )
    trouble = trouble or Trouble(OK)
    lost = set() if trouble.may_be_ours else _lost(segments, typed)
    total = _total(segments, wish.party)
    return visit.show(
        "book.html",
        trouble.status,
        wish=wish,
        typed=typed,
        segments=segments,
        drawings=[
            segment.drawing(wish.cabin, seats, keep=trouble.may_be_ours)
            for segment, seats in zip(segments, typed.seats, strict=True)
        ],
        live=not trouble.may_be_ours,
        total=total,
        says=_says(trouble, sorted(seat for _, seat in lost), typed.expected, total),
        problems={**trouble.problems, **_at_seats(lost, typed)},
        held=held,
    )


def _says(trouble: Trouble, lost: Sequence[str], expected: str, total: str) -> str:
    """The sentence at the top of the page."""
    if trouble.code == "seat_unavailable" and lost:
        were = f"Seat {lost[0]} was" if len(lost) == 1 else f"Seats {', '.join(lost)} were"
        return f"{were} taken by somebody else just now. Please choose again."
    if trouble.code == "price_changed" and total:
        return f"The price has changed: it was {expected}, and now it is {total}."
    return trouble.says


def _lost(segments: Sequence[Segment], typed: Typed) -> set[tuple[int, str]]:
    """What was chosen and cannot be had any more, by flight and seat."""
    return {
        (place, seat)
        for place, (segment, seats) in enumerate(zip(segments, typed.seats, strict=True))
        for seat in seats
        if seat and seat not in segment.free
    }


def _at_seats(lost: set[tuple[int, str]], typed: Typed) -> dict[str, str]:
    return {
        f"seats.{segment}.{place}": f"{seat} is not free any more."
        for segment, seats in enumerate(typed.seats)
        for place, seat in enumerate(seats)
        if (segment, seat) in lost
    }


def _total(segments: Sequence[Segment], party: int) -> str:
    """What it costs for all; nothing if the flights are priced in different currencies."""
    fares = [Money.parse(segment.fare["amount"], segment.fare["currency"]) for segment in segments]
    if len({fare.currency for fare in fares}) > 1:
        return ""
    return str(Money(sum(fare.minor for fare in fares) * party, fares[0].currency))


async def _segments(visit: Visit, wish: Wish) -> list[Segment] | None:
    """The flights with their seats; None if one of them does not sell the cabin."""
    found = await asyncio.gather(*(_facts(visit, flight) for flight in wish.flights))
    segments = []
    for flight, seat_map in found:
        fares = {it["cabin"]: it["fare"] for it in flight["cabins"]}
        if wish.cabin not in fares:
            return None
        facts = {**flight, "cabin": wish.cabin}
        segments.append(Segment(facts, fares[wish.cabin], seat_map))
    return segments


async def _facts(visit: Visit, flight_id: str) -> tuple[Json, Json]:
    path = f"/api/v1/flights/{as_part(flight_id)}"
    flight, seat_map = await asyncio.gather(visit.api.get(path), visit.api.get(f"{path}/seats"))
    return flight, seat_map


async def _held(visit: Visit, wish: Wish) -> list[Json]:
    """Unpaid bookings of this person on these flights: perhaps the one they came back from."""
    mine = await visit.api.get("/api/v1/bookings", status="held", limit=HELD_MAX)
    return [
        booking
        for booking in mine["data"]
        if any(segment["flight_id"] in wish.flights for segment in booking["segments"])
    ]


ROUTES: list[tuple[str, str, Handler]] = [
    ("/book", "GET", choose),
    ("/book", "POST", hold),
]
