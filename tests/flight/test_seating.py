from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.contracts.holds import PARTY_MAX
from skyhold.flight.models.layout import CabinLayout, Layout, Seat
from skyhold.flight.models.seating import assign


def a_cabin(seats: str = "ABC DEF", rows: str = "1-5", **marks) -> CabinLayout:
    drawing = {"cabin": "economy", "rows": rows, "seats": seats, **marks}
    return Layout.parse([drawing]).cabins[0]


def all_but(cabin: CabinLayout, *free: str) -> set[str]:
    """The seats that are taken when only these are free."""
    assert set(free) <= {seat.number for seat in cabin.seats}
    return {seat.number for seat in cabin.seats} - set(free)


def chosen(cabin: CabinLayout, taken: set[str], party: int) -> list[str] | None:
    seats = assign(cabin, taken, party)
    return None if seats is None else sorted(seat.number for seat in seats)


def test_an_empty_cabin_is_filled_from_the_front():
    assert chosen(a_cabin(), set(), 1) == ["1A"]
    assert chosen(a_cabin(), set(), 3) == ["1A", "1B", "1C"]


@pytest.mark.parametrize("seats", ["ABC DEF", "AB CD", "A BC", "AB DEF HJ", "ABC DEFG HJK"])
def test_a_pair_sits_side_by_side(seats):
    left, right = assign(a_cabin(seats), set(), 2)
    assert (right.row, right.column) == (left.row, left.column + 1)


def test_four_in_a_cabin_of_three_and_three_share_a_row_across_the_aisle():
    assert chosen(a_cabin(), set(), 4) == ["1A", "1B", "1C", "1D"]


def test_a_pair_sits_across_the_aisle_rather_than_in_two_rows():
    cabin = a_cabin()
    taken = all_but(cabin, "1A", "2A", "4C", "4D")
    assert chosen(cabin, taken, 2) == ["4C", "4D"]


def test_nobody_is_scattered_over_rows_while_one_row_has_room():
    cabin = a_cabin()
    taken = all_but(cabin, "1A", "2B", "3A", "3C", "3D", "3F", "4E", "5F")
    assert chosen(cabin, taken, 4) == ["3A", "3C", "3D", "3F"]


def test_when_no_row_has_room_the_party_sits_in_two_rows_one_behind_the_other():
    cabin = a_cabin()
    taken = all_but(cabin, "1A", "1B", "2D", "2E", "4B", "4C", "4F", "5B", "5C")
    assert chosen(cabin, taken, 4) == ["4B", "4C", "5B", "5C"]


def test_an_odd_party_in_two_rows_is_still_together():
    cabin = a_cabin()
    taken = all_but(cabin, "1A", "1F", "3D", "3E", "4A", "4D")
    assert chosen(cabin, taken, 3) == ["3D", "3E", "4D"]


@pytest.mark.parametrize(
    ("free", "party", "best"),
    [
        pytest.param("1A 1B 1C 2A 2B", 2, "2A 2B", id="two of two, not of three"),
        pytest.param("1D 1E 3C", 1, "3C", id="one of one, not of two"),
        pytest.param("1A 1B 1C 1D 1E 2A 2B 2C 2D", 4, "2A 2B 2C 2D", id="across the aisle"),
    ],
)
def test_no_single_seat_is_stranded_when_that_can_be_avoided(free, party, best):
    cabin = a_cabin()
    assert chosen(cabin, all_but(cabin, *free.split()), party) == best.split()


def test_a_stranded_seat_is_not_avoided_at_any_price():
    cabin = a_cabin(rows="1-30")
    assert chosen(cabin, all_but(cabin, "1A", "1B", "1C", "4D", "4E"), 2) == ["4D", "4E"]
    assert chosen(cabin, all_but(cabin, "1A", "1B", "1C", "30D", "30E"), 2) == ["1A", "1B"]


def test_a_pair_leaves_the_other_pair_of_four_seats_together():
    cabin = a_cabin("A DEFG K", rows="1")
    assert chosen(cabin, {"1A", "1K"}, 2) == ["1D", "1E"]
    assert chosen(cabin, {"1A", "1D", "1K"}, 2) == ["1E", "1F"]


def test_blocked_and_missing_seats_are_given_to_nobody():
    cabin = a_cabin("AB", rows="1-2", blocked=["1A"], missing=["2B"])
    assert chosen(cabin, set(), 2) == ["1B", "2A"]
    assert chosen(cabin, set(), 3) is None


CABINS = [
    a_cabin(),
    a_cabin("AB CD", rows="1-6", missing=["1C", "1D"]),
    a_cabin("A BC", rows="1-3,5-6", blocked=["2B"]),
    a_cabin("AB DEF HJ", rows="1-4", missing=["4A", "4J"], blocked=["2E"]),
    a_cabin("ABC DEFG HJK", rows="1-3"),
    a_cabin("A", rows="1-4"),
]


@st.composite
def cabins_in_use(draw) -> tuple[CabinLayout, list[Seat]]:
    """A cabin, and its seats that are neither taken nor blocked."""
    cabin = draw(st.sampled_from(CABINS))
    # From how full it is, so that full and empty cabins come as often as half-full ones.
    size = draw(st.integers(0, len(cabin.seats)))
    taken = draw(st.permutations(cabin.seats))[:size]
    return cabin, [seat for seat in cabin.sellable if seat not in taken]


def side_by_side(seats) -> bool:
    return all(b.row == a.row and b.column == a.column + 1 for a, b in pairwise(seats))


def seats_taken(cabin: CabinLayout, free: list[Seat]) -> set[str]:
    return {seat.number for seat in cabin.seats if seat not in free and not seat.blocked}


@given(cabins_in_use(), st.integers(1, PARTY_MAX))
def test_a_party_gets_as_many_free_seats_as_it_is_people_or_none_when_too_few_are_left(used, party):
    cabin, free = used
    seats = assign(cabin, seats_taken(cabin, free), party)
    if len(free) < party:
        assert seats is None
    else:
        assert len(seats) == len(set(seats)) == party
        assert set(seats) <= set(free)


@given(cabins_in_use(), st.integers(1, PARTY_MAX))
def test_a_party_sits_side_by_side_whenever_some_row_allows_it(used, party):
    cabin, free = used
    rooms = (free[start : start + party] for start in range(len(free) - party + 1))
    if any(side_by_side(room) for room in rooms):
        assert side_by_side(assign(cabin, seats_taken(cabin, free), party))


@given(cabins_in_use(), st.integers(1, PARTY_MAX))
def test_what_is_taken_elsewhere_does_not_matter(used, party):
    cabin, free = used
    taken = seats_taken(cabin, free)
    assert assign(cabin, taken | {"99Z", "1I"}, party) == assign(cabin, taken, party)
