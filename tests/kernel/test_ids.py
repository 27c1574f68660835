"""Ids that are unique, ordered, repeatable or readable, as their use asks."""

from __future__ import annotations

import json
import re
import uuid
from typing import Annotated

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from skyhold.kernel.ids import (
    LOCATOR_ALPHABET,
    UUID,
    derived_id,
    digest,
    new_id,
    new_locator,
)

an_id = TypeAdapter(Annotated[str, UUID])
parts = st.lists(st.text(max_size=20), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_new_ids_are_unique_and_sort_by_the_time_they_were_made():
    ids = [new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert uuid.UUID(ids[0]).version == 7


@given(parts)
def test_the_same_parts_give_the_same_id_always(words):
    one = derived_id(*words)
    assert one == derived_id(*words)
    assert an_id.validate_python(one) == one
    assert uuid.UUID(one).version == 5


@given(parts, parts)
def test_other_parts_give_another_id(one, other):
    assume(one != other)
    assert derived_id(*one) != derived_id(*other)


def test_where_one_part_ends_and_the_next_begins_matters():
    ways = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ('a", "b',), ("a", "b")]
    assert len({derived_id(*way) for way in ways}) == len(ways)


def test_a_derived_id_is_the_same_in_every_version():
    # A retry after an upgrade must find the booking that its first attempt made.
    assert derived_id("user", "key", "1") == "f988d905-14ad-5958-8cb2-140bb325cdb0"


def test_ids_are_recognised_in_their_canonical_form_only():
    for id in (new_id(), derived_id("a"), str(uuid.uuid4())):
        assert an_id.validate_python(id) == id
        others = (id.upper(), f"{{{id}}}", f"urn:uuid:{id}", id.replace("-", ""), f" {id}")
        for other in (*others, f"{id}\n", f"{id}\0", id[:-1], f"{id}0", ""):
            with pytest.raises(ValidationError, match="must be a UUID in lower case"):
                an_id.validate_python(other)


@pytest.mark.parametrize("digit", ["\N{FULLWIDTH DIGIT ONE}", "\N{ARABIC-INDIC DIGIT ONE}", "g"])
def test_only_plain_digits_make_an_id(digit):
    with pytest.raises(ValidationError):
        an_id.validate_python(digit + new_id()[1:])


def test_a_locator_is_six_characters_that_nobody_mistakes_for_one_another():
    locators = [new_locator() for _ in range(2_000)]
    assert all(len(one) == 6 and set(one) <= set(LOCATOR_ALPHABET) for one in locators)
    assert len(set(locators)) > 1_990
    assert set("".join(locators)) == set(LOCATOR_ALPHABET)
    assert not set("01258BILOSUVZ") & set(LOCATOR_ALPHABET)


@given(json_values)
def test_a_digest_does_not_depend_on_how_the_value_was_written_down(value):
    again = json.loads(json.dumps(value))
    assert digest(again) == digest(value)
    assert re.fullmatch("[0-9a-f]{64}", digest(value))


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=3))
def test_a_digest_does_not_depend_on_the_order_of_the_keys(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(json_values, json_values)
def test_different_values_have_different_digests(one, other):
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert digest(one) != digest(other)
