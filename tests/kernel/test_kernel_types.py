"""What comes over the wire is a match as a whole, and who sends something else is told in words."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import pytest
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from skyhold.kernel.types import CALENDAR_DAY, PLAIN_NUMBER, WRITTEN_OUT, Matching

SEAT = Matching(r"\d{1,2}[A-K]|none", says="must be a seat, such as 12A")
a_seat = TypeAdapter(Annotated[str, Field(max_length=4), SEAT])


@pytest.mark.parametrize("seat", ["1A", "12K", "none"])
def test_what_matches_is_taken_as_it_is(seat):
    assert a_seat.validate_python(seat) == seat


@pytest.mark.parametrize("seat", ["", "A", "12", " 1A", "1A ", "1A\n", "x1A", "1Anone", "\u0661A"])
def test_what_matches_only_in_part_is_refused_in_words(seat):
    with pytest.raises(ValidationError) as refusal:
        a_seat.validate_python(seat)
    [error] = refusal.value.errors()
    assert error["msg"].removeprefix("Value error, ") in {
        "must be a seat, such as 12A",
        "String should have at most 4 characters",
    }


@pytest.mark.parametrize("seat", [12, None, ["1A"], b"\xff"])
def test_what_is_no_text_is_refused(seat):
    with pytest.raises(ValidationError):
        a_seat.validate_python(seat)


def test_programs_find_the_pattern_in_the_document():
    schema = TypeAdapter(Annotated[str, Matching("[A-Z]{3}", says="must be an airport")])
    assert schema.json_schema() == {"type": "string", "pattern": "^[A-Z]{3}$"}


NUMBER = TypeAdapter(Annotated[int, PLAIN_NUMBER])
DAY = TypeAdapter(Annotated[date, CALENDAR_DAY])


@pytest.mark.parametrize(("written", "number"), [("7", 7), ("-7", -7), ("007", 7), (8, 8)])
def test_a_plain_number_is_read(written, number):
    assert NUMBER.validate_python(written) == number


@pytest.mark.parametrize(
    "written", ["1.0", "+5", "1_0", " 1", "1 ", "1e3", "\u0663", "", "9" * 19, "0x1", "true"]
)
def test_what_is_no_plain_number_is_refused(written):
    with pytest.raises(ValidationError):
        NUMBER.validate_python(written)


def test_a_calendar_day_is_read():
    assert DAY.validate_python("2026-12-01") == date(2026, 12, 1)
    assert DAY.validate_json('"2026-12-01"') == date(2026, 12, 1)


@pytest.mark.parametrize(
    "written",
    [
        "2026-12-01T00:00",
        "2026-12-01 00:00:00Z",
        "20261201",
        "2026-12-1",
        3_600,
        0.0,
        "86400",
        True,
    ],
)
def test_what_is_no_calendar_day_is_refused(written):
    with pytest.raises(ValidationError):
        DAY.validate_python(written)


INSTANT = TypeAdapter(Annotated[AwareDatetime, WRITTEN_OUT])


def test_an_instant_is_read():
    at = INSTANT.validate_python("2026-12-01T05:15:00+01:00")
    assert at.isoformat() == "2026-12-01T05:15:00+01:00"


@pytest.mark.parametrize("written", ["0", "0.5", "1795845879", "-1", 1.5, 86_400, True])
def test_seconds_since_1970_are_no_instant(written):
    with pytest.raises(ValidationError):
        INSTANT.validate_python(written)
