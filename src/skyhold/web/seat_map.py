"""A flight's seat map as a drawing: every position worked out, ready for a template.

Lengths are user units of the SVG, about a CSS pixel on a narrow aircraft. Front is up. The cabins
share the width of the widest: a cabin of fewer seats gets wider ones, up to a limit, and the rest
goes to its aisles, so that window seats are at the wall everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from . import filters

# What the public API says; a seat map, a seat, an amount of money.
Said = Mapping[str, Any]

SEAT_PITCH = 32
SEAT_PITCH_MAX = 48
GAP = 4  # between two seats
AISLE = 28
WALL = 18  # there an exit is marked
ROW_PITCH = 34
LEG_ROOM = 12  # before a row at an exit
HEADING = 52  # the name of a cabin and its letters
NOSE = 64
TAIL = 40


class State(StrEnum):
    """How a seat is drawn."""

    AVAILABLE = "available"
    TAKEN = "taken"
    BLOCKED = "blocked"
    CHOSEN = "chosen"


STATES = {
    "available": State.AVAILABLE,
    "held": State.TAKEN,
    "occupied": State.TAKEN,
    "blocked": State.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Seat:
    """One seat. `place` is the passenger it is chosen for, counted from 1; 0 is nobody."""

    number: str
    x: int
    y: int
    state: State
    place: int
    words: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row, and where its number stands; `title` is its name in the list."""

    number: int
    y: int
    is_exit: bool
    seats: tuple[Seat, ...]

    @property
    def title(self) -> str:
        """Such as "Row 12, exit row"."""
        return f"Row {self.number}, exit row" if self.is_exit else f"Row {self.number}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A letter above its column, or an aisle: the middle of it."""

    text: str
    x: int


@dataclass(frozen=True, slots=True)
class Cabin:
    """One cabin; `is_ours` if its seats can be chosen here."""

    name: str
    is_ours: bool
    y: int
    seat_width: int
    letters: tuple[Mark, ...]
    aisles: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """Its name as people say it."""
        return filters.cabin(self.name)


@dataclass(frozen=True)
class Drawing:
    """The whole aircraft, and the price of a seat in our cabin, such as "129.00 USD"."""

    flight_id: str
    cabin: str
    price: str
    width: int
    height: int
    cabins: tuple[Cabin, ...]
    seat_height: int = ROW_PITCH - GAP

    @property
    def ours(self) -> Cabin | None:
        """The cabin whose seats can be chosen; None if this aircraft has no such."""
        return next((cabin for cabin in self.cabins if cabin.is_ours), None)

    @property
    def seats(self) -> Iterator[Seat]:
        """Those of our cabin, row by row from the front, left to right."""
        return (seat for row in (self.ours.rows if self.ours else ()) for seat in row.seats)

    @cached_property
    def entry(self) -> str:
        """The seat that the keyboard comes to first: a chosen one, or else the first free one."""
        by_rank = {State.CHOSEN: 0, State.AVAILABLE: 1}
        seats = sorted(self.seats, key=lambda seat: by_rank.get(seat.state, 2))
        return seats[0].number if seats else ""

    @cached_property
    def offers(self) -> tuple[tuple[str, tuple[Seat, ...]], ...]:
        """What can be had, as a list: the title of each row and its seats."""
        open_states = {State.AVAILABLE, State.CHOSEN}
        rows = (
            (row.title, tuple(seat for seat in row.seats if seat.state in open_states))
            for row in (self.ours.rows if self.ours else ())
        )
        return tuple((title, seats) for title, seats in rows if seats)

    @property
    def hull(self) -> str:
        """The outline as path data."""
        right, side, tail = self.width - 2, self.height - TAIL, self.height - 2
        middle = self.width // 2
        return (
            f"M2 {NOSE}C2 {NOSE // 3} {middle // 2} 2 {middle} 2"
            f"S{right} {NOSE // 3} {right} {NOSE}V{side}"
            f"Q{right} {tail} {middle} {tail}Q2 {tail} 2 {side}Z"
        )


def draw(
    seat_map: Said,
    cabin: str,
    fare: Said | None,
    chosen: Sequence[str] = (),
    *,
    keep: bool = False,
) -> Drawing:
    """The seat map as the API answers it, with `cabin` to choose from at `fare` a seat.

    `chosen` are the seats of the passengers in their order, "" for one who has none; a seat that
    cannot be had is not drawn as chosen. With `keep` one that is taken is all the same: it may have
    been taken for them.
    """
    inner = max((_natural_width(each["columns"]) for each in seat_map["cabins"]), default=0)
    price = f"{fare['amount']} {fare['currency']}" if fare else ""
    choice = _Choice({seat: place for place, seat in enumerate(chosen, 1) if seat}, price, keep)
    cabins, y = [], NOSE
    for each in seat_map["cabins"]:
        drawn = _cabin(each, y, inner, choice if each["cabin"] == cabin else None)
        cabins.append(drawn)
        y = (drawn.rows[-1].y if drawn.rows else y + HEADING) + ROW_PITCH + 2 * GAP
    return Drawing(
        flight_id=seat_map["flight_id"],
        cabin=cabin,
        price=price,
        width=inner + 2 * WALL,
        height=y + TAIL,
        cabins=tuple(cabins),
    )


def taken_and_free(seat_map: Said) -> tuple[frozenset[str], frozenset[str]]:
    """The seats that somebody has, and those that can be had."""
    by_state: dict[State, list[str]] = {state: [] for state in State}
    for cabin in seat_map["cabins"]:
        for row in cabin["rows"]:
            for seat in row["seats"]:
                by_state[_state(seat)].append(seat["seat"])
    return frozenset(by_state[State.TAKEN]), frozenset(by_state[State.AVAILABLE])


@dataclass(frozen=True, slots=True)
class _Choice:
    places: Mapping[str, int]
    price: str
    keep: bool

    def of(self, number: str, state: State) -> int:
        """Whose choice the seat is: 0 if it is nobody's, or cannot be."""
        can_be = state is State.AVAILABLE or (self.keep and state is State.TAKEN)
        return self.places.get(number, 0) if can_be else 0


def _natural_width(columns: Sequence[str | None]) -> int:
    return sum(AISLE if letter is None else SEAT_PITCH for letter in columns)


def _cabin(said: Said, y: int, inner: int, choice: _Choice | None) -> Cabin:
    pitch, lefts = _across(said["columns"], inner)
    rows, row_y = [], y + HEADING
    for row in said["rows"]:
        row_y += LEG_ROOM if row["exit"] else 0
        seats = tuple(_seat(seat, lefts, row_y, choice) for seat in row["seats"])
        rows.append(Row(row["row"], row_y, row["exit"], seats))
        row_y += ROW_PITCH
    ends = [*list(lefts.values())[1:], inner + WALL]
    return Cabin(
        name=said["cabin"],
        is_ours=choice is not None,
        y=y,
        seat_width=pitch - GAP,
        letters=tuple(Mark(letter, left + (pitch - GAP) // 2) for letter, left in lefts.items()),
        aisles=tuple(
            (left + pitch - GAP + end) // 2
            for left, end in zip(lefts.values(), ends, strict=True)
            if end - left > pitch and end != inner + WALL
        ),
        rows=tuple(rows),
    )


def _across(columns: Sequence[str | None], inner: int) -> tuple[int, dict[str, int]]:
    """How wide a seat with its gap is, and where the seats of each letter begin."""
    aisles = columns.count(None)
    seats = len(columns) - aisles
    pitch = min(SEAT_PITCH_MAX, (inner - AISLE * aisles) // seats)
    aisle = (inner - pitch * seats) // aisles if aisles else 0
    lefts, x = {}, WALL + GAP // 2
    for letter in columns:
        if letter is not None:
            lefts[letter] = x
        x += aisle if letter is None else pitch
    return pitch, lefts


def _seat(said: Said, lefts: Mapping[str, int], y: int, choice: _Choice | None) -> Seat:
    number = said["seat"]
    state = _state(said)
    place = choice.of(number, state) if choice else 0
    state = State.CHOSEN if place else state
    words = _words(said["characteristics"])
    return Seat(
        number=number,
        x=lefts[number[-1]],
        y=y,
        state=state,
        place=place,
        words=words,
        label=_label(number, words, choice.price if choice else "", state, place),
    )


def _state(said: Said) -> State:
    return STATES.get(said["status"], State.BLOCKED)


def _words(characteristics: Collection[str]) -> str:
    """What a traveller wants to know of a seat: "window, exit row"."""
    words = [word for word in ("window", "aisle") if word in characteristics] or ["middle"]
    return ", ".join(words + (["exit row"] if "exit" in characteristics else []))


def _label(number: str, words: str, price: str, state: State, place: int) -> str:
    """What is spoken: "12A, window, exit row, 129.00 USD, free"."""
    if state is State.BLOCKED:
        return f"{number}, {words}, not sold"
    if state is State.TAKEN:
        return f"{number}, {words}, taken"
    end = f"chosen for passenger {place}" if place else "free"
    return ", ".join(part for part in (number, words, price, end) if part)
