from __future__ import annotations

import re
import tomllib

import pytest

from skyhold.contracts.holds import SEAT, Cabin
from skyhold.flight.models.layout import Layout
from skyhold.flight.services.reference import data_file

FIRST = {"cabin": "first", "rows": "1-2", "seats": "AB EF"}
ECONOMY = {
    "cabin": "economy",
    "rows": "7,9-10",
    "seats": "ABC DEF",
    "exits": [9],
    "missing": ["10F"],
    "blocked": ["7A"],
}
AIRCRAFT = tomllib.loads(data_file("aircraft.toml").read_text(encoding="utf-8"))


@pytest.fixture
def layout() -> Layout:
    return Layout.parse([FIRST, ECONOMY])


def test_a_drawing_gives_cabins_from_front_to_back_and_their_rows(layout):
    assert [cabin.cabin for cabin in layout.cabins] == [Cabin.FIRST, Cabin.ECONOMY]
    assert [row.number for row in layout.by_cabin[Cabin.FIRST].rows] == [1, 2]
    assert [row.number for row in layout.by_cabin[Cabin.ECONOMY].rows] == [7, 9, 10]
    assert layout.by_cabin[Cabin.ECONOMY].columns == ("A", "B", "C", None, "D", "E", "F")


def test_windows_are_at_the_sides_and_aisle_seats_beside_the_aisle(layout):
    row = layout.by_cabin[Cabin.ECONOMY].rows[0].seats
    assert "".join(seat.number[-1] for seat in row if seat.window) == "AF"
    assert "".join(seat.number[-1] for seat in row if seat.aisle) == "CD"


def test_two_aisles_make_four_aisle_seats():
    wide = Layout.parse([{"cabin": "economy", "rows": "1", "seats": "AB DEFG HJ"}])
    aisles = [seat.number for seat in wide.cabins[0].seats if seat.aisle]
    assert aisles == ["1B", "1D", "1G", "1H"]


def test_every_seat_of_an_exit_row_says_so(layout):
    at_exits = [seat.number for seat in layout.by_number.values() if seat.exit_row]
    assert at_exits == ["9A", "9B", "9C", "9D", "9E", "9F"]
    assert layout.by_number["9A"].characteristics == ["window", "exit"]
    assert layout.by_number["9B"].characteristics == ["exit"]


def test_a_missing_seat_is_not_there_and_leaves_its_place_empty(layout):
    assert "10F" not in layout.by_number
    last_row = layout.by_cabin[Cabin.ECONOMY].rows[-1].seats
    assert [seat.column for seat in last_row] == [0, 1, 2, 4, 5]
    assert not layout.by_number["10E"].window


def test_a_blocked_seat_is_there_and_never_sold(layout):
    economy = layout.by_cabin[Cabin.ECONOMY]
    assert layout.by_number["7A"].blocked
    assert [seat.number for seat in economy.seats if seat not in economy.sellable] == ["7A"]


@pytest.mark.parametrize(
    "drawings",
    [
        pytest.param([FIRST, ECONOMY | {"rows": "2-5"}], id="one row in two cabins"),
        pytest.param([FIRST | {"seats": "AA EF"}], id="one letter twice"),
        pytest.param([FIRST | {"rows": "1-3,2"}], id="one row twice"),
        pytest.param([FIRST | {"exits": [3]}], id="an exit at no row"),
        pytest.param([FIRST | {"missing": ["1C"]}], id="a gap that is none"),
        pytest.param([FIRST | {"blocked": ["3A"]}], id="a blocked seat in no row"),
        pytest.param([FIRST | {"cabin": "steerage"}], id="no such cabin"),
        pytest.param([FIRST | {"rows": "one"}], id="a row without a number"),
        pytest.param([FIRST | {"rows": ""}], id="no rows"),
    ],
)
def test_a_wrong_drawing_is_refused(drawings):
    with pytest.raises(ValueError, match=r"."):
        Layout.parse(drawings)


@pytest.mark.parametrize("code", AIRCRAFT)
def test_every_aircraft_that_comes_with_us_can_be_sold(code):
    drawings = AIRCRAFT[code]["cabins"]
    layout = Layout.parse(drawings)
    seats = [seat.number for cabin in layout.cabins for seat in cabin.seats]
    assert len(set(seats)) == len(seats) == len(layout.by_number)
    assert all(re.fullmatch(SEAT.pattern, seat) for seat in seats)
    assert all(cabin.sellable for cabin in layout.cabins)


@pytest.mark.parametrize("code", AIRCRAFT)
def test_no_aircraft_has_a_cabin_or_a_row_twice(code):
    layout = Layout.parse(AIRCRAFT[code]["cabins"])
    kinds = [cabin.cabin for cabin in layout.cabins]
    assert kinds == [cabin for cabin in Cabin if cabin in kinds], "each once, front to back"
    rows = [row.number for cabin in layout.cabins for row in cabin.rows]
    assert rows == sorted(set(rows))
