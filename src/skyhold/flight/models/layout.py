"""The layout of an aircraft: which seats exist, where they are, and which are sold.

Layouts never change once a flight uses them: an aircraft with other seats is another type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from skyhold.contracts.holds import Cabin


@dataclass(frozen=True, slots=True)
class Seat:
    """One seat. `column` counts positions from the left and includes the aisles."""

    number: str
    row: int
    column: int
    cabin: Cabin
    window: bool
    aisle: bool
    exit_row: bool
    blocked: bool

    @property
    def characteristics(self) -> list[str]:
        """What a traveller wants to know of it."""
        marks = {"window": self.window, "aisle": self.aisle, "exit": self.exit_row}
        return [name for name, is_so in marks.items() if is_so]


@dataclass(frozen=True)
class SeatRow:
    """One row of a cabin; a position without a seat is missing from `seats`."""

    number: int
    exit: bool
    seats: tuple[Seat, ...]

    @cached_property
    def sellable(self) -> Mapping[str, Seat]:
        """Every seat that is not blocked, by its number, from left to right."""
        return {seat.number: seat for seat in self.seats if not seat.blocked}


@dataclass(frozen=True)
class CabinLayout:
    """One cabin; `columns` are the seat letters from left to right, None is an aisle."""

    cabin: Cabin
    columns: tuple[str | None, ...]
    rows: tuple[SeatRow, ...]

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """Every seat, row by row from the front, left to right."""
        return tuple(seat for row in self.rows for seat in row.seats)

    @cached_property
    def sellable(self) -> tuple[Seat, ...]:
        """Every seat that is not blocked, in the same order."""
        return tuple(seat for seat in self.seats if not seat.blocked)


@dataclass(frozen=True, eq=False)
class Layout:
    """An aircraft's cabins from front to back. Equal to itself alone: it is read once."""

    cabins: tuple[CabinLayout, ...]

    @staticmethod
    @lru_cache(maxsize=1_000)
    def from_json(text: str) -> Layout:
        """Read a layout's JSON. Layouts are few and never change, so each is read once."""
        return Layout.parse(json.loads(text))

    @classmethod
    def parse(cls, cabins: Sequence[Mapping[str, Any]]) -> Layout:
        """Read the form that flight/data/README.md describes. Raises ValueError if it is wrong."""
        try:
            layout = cls(tuple(_cabin(cabin) for cabin in cabins))
        except KeyError as error:
            msg = f"a cabin has no {error}"
            raise ValueError(msg) from error
        if len(layout.by_cabin) != len(layout.cabins):
            msg = "a cabin occurs twice"
            raise ValueError(msg)
        numbers = [seat.number for cabin in layout.cabins for seat in cabin.seats]
        if len(set(numbers)) != len(numbers):
            msg = "a seat number occurs twice"
            raise ValueError(msg)
        return layout

    @cached_property
    def by_number(self) -> Mapping[str, Seat]:
        """Every seat by its number."""
        return {seat.number: seat for cabin in self.cabins for seat in cabin.seats}

    @cached_property
    def by_cabin(self) -> Mapping[Cabin, CabinLayout]:
        """Every cabin by its name."""
        return {cabin.cabin: cabin for cabin in self.cabins}


def _cabin(drawing: Mapping[str, Any]) -> CabinLayout:
    cabin = Cabin(drawing["cabin"])
    columns = tuple(None if letter == " " else letter for letter in drawing["seats"])
    exits = frozenset(drawing.get("exits", ()))
    missing = frozenset(drawing.get("missing", ()))
    blocked = frozenset(drawing.get("blocked", ()))
    rows = tuple(
        SeatRow(
            number=number,
            exit=number in exits,
            seats=tuple(
                Seat(
                    number=f"{number}{letter}",
                    row=number,
                    column=column,
                    cabin=cabin,
                    window=column in {0, len(columns) - 1},
                    aisle=None in columns[max(0, column - 1) : column + 2],
                    exit_row=number in exits,
                    blocked=f"{number}{letter}" in blocked,
                )
                for column, letter in enumerate(columns)
                if letter is not None and f"{number}{letter}" not in missing
            ),
        )
        for number in _row_numbers(drawing["rows"])
    )
    layout = CabinLayout(cabin, columns, rows)
    _check_marks(layout, exits, missing, blocked)
    return layout


def _row_numbers(ranges: str) -> Iterator[int]:
    """The numbers of "1-4,6": 1 2 3 4 6."""
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        rows = range(int(first), int(last or first) + 1)
        if not rows:
            msg = f"there are no rows {part}"
            raise ValueError(msg)
        yield from rows


def _check_marks(
    layout: CabinLayout, exits: frozenset[int], missing: frozenset[str], blocked: frozenset[str]
) -> None:
    rows = {row.number for row in layout.rows}
    positions = {f"{row}{letter}" for row in rows for letter in layout.columns if letter}
    stray = (exits - rows) | (missing - positions) | (blocked - positions)
    if stray:
        msg = f"marks that fit no seat or row of {layout.cabin}: {sorted(map(str, stray))}"
        raise ValueError(msg)
