"""The seat map as a drawing: where everything stands, and what is said of each seat."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import pairwise

import pytest

from skyhold.flight.models.layout import Layout
from skyhold.flight.schemas.flights import SeatMapOut
from skyhold.web.seat_map import GAP, WALL, State, draw, taken_and_free
from skyhold.web.site import templates
from skyhold.web.static import Static

FARE = {"amount": "129.00", "currency": "USD"}
# What a map has of 360 pixels, and the least that can be hit with a finger: 24 pixels from one
# middle to the next (WCAG 2.2, target size).
NARROW, TARGET = 318, 24
AIRCRAFT = tomllib.loads((files("skyhold.flight") / "data" / "aircraft.toml").read_text())


def a_map(code, **statuses):
    """The seat map of a type with all seats free but these, as the API answers it."""
    layout = Layout.parse(AIRCRAFT[code]["cabins"])
    said = SeatMapOut.all_free("B61-2026-12-01-JFK", layout, list(layout.by_cabin))
    said = said.model_dump(mode="json")
    for cabin in said["cabins"]:
        for row in cabin["rows"]:
            for seat in row["seats"]:
                seat["status"] = statuses.get(seat["seat"], seat["status"])
    return said


def seats_of(drawing):
    return {seat.number: seat for seat in drawing.seats}


@pytest.mark.parametrize("code", AIRCRAFT)
def test_no_seat_overlaps_another_and_all_are_inside(code):
    for cabin_said in a_map(code)["cabins"]:
        drawing = draw(a_map(code), cabin_said["cabin"], FARE)
        places = [
            (seat.x, seat.y, cabin.seat_width)
            for cabin in drawing.cabins
            for row in cabin.rows
            for seat in row.seats
        ]
        assert len(places) == sum(
            len(row["seats"]) for cabin in a_map(code)["cabins"] for row in cabin["rows"]
        )
        by_row: dict[int, list[tuple[int, int]]] = {}
        for x, y, width in places:
            assert x >= WALL
            assert x + width <= drawing.width - WALL
            assert y + drawing.seat_height < drawing.height
            by_row.setdefault(y, []).append((x, x + width))
        for row in by_row.values():
            ordered = sorted(row)
            for (_, end), (begin, _) in pairwise(ordered):
                assert begin - end >= GAP
        heights = sorted(by_row)
        assert all(b - a > drawing.seat_height for a, b in pairwise(heights))


@pytest.mark.parametrize("code", AIRCRAFT)
def test_window_seats_are_at_the_wall_and_letters_above_their_seats(code):
    drawing = draw(a_map(code), "economy", FARE)
    for cabin in drawing.cabins:
        columns = {letter.text: letter.x for letter in cabin.letters}
        for row in cabin.rows:
            for seat in row.seats:
                assert columns[seat.number[-1]] == seat.x + cabin.seat_width // 2
        assert min(columns.values()) - cabin.seat_width // 2 == WALL + GAP // 2
        rest = drawing.width - WALL - (max(columns.values()) + cabin.seat_width // 2)
        assert 0 <= rest <= GAP // 2 + 2


@pytest.mark.parametrize("code", AIRCRAFT)
def test_the_widest_can_be_used_on_a_phone(code):
    drawing = draw(a_map(code), "economy", FARE)
    scale = min(1, NARROW / drawing.width)
    assert (drawing.ours.seat_width + GAP) * scale >= TARGET


def test_an_aisle_stands_between_seats_and_carries_the_numbers_of_rows():
    cabin = draw(a_map("77W"), "economy", FARE).ours
    letters = {letter.text: letter.x for letter in cabin.letters}
    left, right = cabin.aisles
    assert letters["C"] < left < letters["D"]
    assert letters["G"] < right < letters["H"]


def test_a_row_at_an_exit_has_room_for_legs():
    rows = {row.number: row for row in draw(a_map("738"), "economy", FARE).ours.rows}
    assert rows[15].is_exit
    assert rows[15].y - rows[14].y > rows[14].y - rows[12].y


def test_what_is_said_of_a_seat():
    drawing = draw(a_map("738", **{"20A": "held", "20B": "occupied"}), "economy", FARE, ["", "7C"])
    said = {number: seat.label for number, seat in seats_of(drawing).items()}
    assert said["15A"] == "15A, window, exit row, 129.00 USD, free"
    assert said["15B"] == "15B, middle, exit row, 129.00 USD, free"
    assert said["20A"] == "20A, window, taken"
    assert said["20B"] == "20B, middle, taken"
    assert said["7C"] == "7C, aisle, 129.00 USD, chosen for passenger 2"
    blocked = draw(a_map("763"), "economy", None)
    assert seats_of(blocked)["29H"].label == "29H, aisle, not sold"
    assert seats_of(blocked)["28H"].label == "28H, aisle, free"


def test_only_what_can_be_had_is_drawn_as_chosen_unless_it_may_be_ours():
    said = a_map("738", **{"20A": "held"})
    drawing = draw(said, "economy", FARE, ["20A", "20B"])
    assert [seats_of(drawing)[seat].state for seat in ("20A", "20B")] == [
        State.TAKEN,
        State.CHOSEN,
    ]
    kept = draw(said, "economy", FARE, ["20A", "20B"], keep=True)
    assert seats_of(kept)["20A"].state is State.CHOSEN
    assert seats_of(draw(said, "economy", FARE, ["1A"])).keys().isdisjoint({"1A"})


def test_the_list_has_what_can_be_had_by_rows():
    drawing = draw(a_map("738", **{"7A": "held", "7B": "held", "7C": "held"}), "economy", FARE)
    rows = {title: [seat.number for seat in seats] for title, seats in drawing.offers}
    assert rows["Row 7"] == ["7D", "7E", "7F"]
    assert rows["Row 15, exit row"] == [f"15{letter}" for letter in "ABCDEF"]
    full = {f"8{letter}": "occupied" for letter in "ABCDEF"}
    assert "Row 8" not in dict(draw(a_map("738", **full), "economy", FARE).offers)


def test_the_keyboard_comes_to_a_chosen_seat_or_else_to_the_first_free_one():
    said = a_map("738", **{"7A": "held"})
    assert draw(said, "economy", FARE).entry == "7B"
    assert draw(said, "economy", FARE, ["20A"]).entry == "20A"
    assert draw(said, "business", FARE).entry == ""


def test_taken_and_free_leave_out_what_is_never_sold():
    taken, free = taken_and_free(a_map("763", **{"10A": "held", "10B": "occupied"}))
    assert taken == {"10A", "10B"}
    assert free.isdisjoint({"10A", "10B", "29H", "29J"})


def test_as_html_other_cabins_are_dimmed_and_one_seat_is_a_tab_stop():
    page = templates(Static.read()).from_string(
        "{% import '_seat_map.html' as seats %}{{ seats.picker(map, 2, 0, ['', '7A']) }}"
    )
    html = page.render(map=draw(a_map("738", **{"7B": "held"}), "economy", FARE, ["", "7A"]))
    assert html.count('tabindex="0"') == 1
    assert html.count('<g class="cabin other" aria-hidden="true">') == 1  # first class
    assert re.search(r'data-seat="7A"[^>]*tabindex="0"[^>]*aria-pressed="true"', html)
    assert re.search(r'data-seat="7B"[^>]*aria-disabled="true"', html)
    assert not re.search(r'data-seat="7B"[^>]*aria-pressed', html)
    assert html.count('<option value="7A" selected>7A, window</option>') == 1
    assert "style=" not in html
    assert "data-map inert" in html
