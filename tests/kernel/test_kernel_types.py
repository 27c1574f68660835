"""What comes over the wire is a match as a whole, and who sends something else is told in words."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from skyhold.kernel.types import Matching

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
