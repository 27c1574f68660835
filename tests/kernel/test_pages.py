"""Cursors: opaque outside, exact inside, and harmless whatever comes back."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skyhold.kernel.http.pages import (
    CURSOR_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    After,
    InvalidCursor,
    Limit,
    from_cursor,
    from_instant_cursor,
    to_cursor,
    to_instant_cursor,
)
from skyhold.kernel.http.routes import Routes

printable = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=40
)
router = Routes()


@router.get("/things")
async def things(limit: Limit = PAGE_DEFAULT, after: After = None) -> dict[str, object]:
    return {"limit": limit, "position": after and from_cursor(after, 2)}


@given(st.lists(printable, min_size=1, max_size=4))
def test_a_cursor_stands_for_its_position(position):
    cursor = to_cursor(*position)
    assert from_cursor(cursor, len(position)) == position
    assert re.fullmatch("[A-Za-z0-9_-]+", cursor)  # as it is, it fits into an address


def cursor_of(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.text() | st.from_regex(r"[A-Za-z0-9_=-]*", fullmatch=True) | st.integers().map(cursor_of))
@example("")
@example("=" * CURSOR_MAX)
@example(cursor_of({"0": "a", "1": "b"}))
@example(cursor_of("ab"))
@example(cursor_of(["a"]))
@example(cursor_of(["a", "b", "c"]))
@example(cursor_of(["a", 1]))
@example(cursor_of(["a", None]))
@example(cursor_of(["a", ["b"]]))
@example(cursor_of(["a", "\0"]))
@example(cursor_of(["a", "\r\n"]))
@example(cursor_of(["a", "\ud800"]))
@example(base64.urlsafe_b64encode(b"[" * 100_000).decode())
@example(base64.urlsafe_b64encode(b'["a", "\xff"]').decode())
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(InvalidCursor) as refusal:
        from_cursor(text, 2)
    assert (refusal.value.status, refusal.value.code) == (422, "invalid_cursor")
    assert [error.field for error in refusal.value.errors] == ["after"]


@given(st.lists(printable, max_size=4), st.integers(0, 4))
def test_a_cursor_of_another_list_is_refused(position, parts):
    if len(position) != parts:
        with pytest.raises(InvalidCursor):
            from_cursor(to_cursor(*position), parts)


@given(st.datetimes(timezones=st.timezones()), printable)
def test_a_cursor_of_an_instant_stands_for_it_to_the_microsecond(at, id):
    try:
        expected = at.astimezone(UTC)
    except OverflowError:  # in another zone it is still, or already, beyond the calendar
        return
    found, found_id = from_instant_cursor(to_instant_cursor(at, id))
    assert (found - expected, found.tzinfo, found_id) == (timedelta(), UTC, id)


@pytest.mark.parametrize(
    "position",
    [
        ["yesterday", "id"],
        ["", "id"],
        ["2026-12-01T12:00:00", "id"],  # whose noon?
        ["2026-13-01T12:00:00+00:00", "id"],
        ["0001-01-01T00:00:00+14:00", "id"],
        ["9999-12-31T23:59:59-14:00", "id"],
        ["2026-12-01T12:00:00+00:00"],
        ["2026-12-01T12:00:00+00:00", "id", "more"],
    ],
    ids=repr,
)
def test_what_is_no_cursor_of_an_instant_is_refused(position):
    with pytest.raises(InvalidCursor):
        from_instant_cursor(to_cursor(*position))
    at = datetime(2026, 12, 1, tzinfo=UTC)
    assert from_instant_cursor(to_instant_cursor(at, "id")) == (at, "id")


async def test_a_page_is_asked_for_with_limit_and_after(serve):
    http = await serve(router)
    cursor = to_cursor("2026-12-01", "id-1")
    reply = await http.get("/things", params={"after": cursor, "limit": PAGE_MAX})
    assert reply.json() == {"limit": PAGE_MAX, "position": ["2026-12-01", "id-1"]}
    assert (await http.get("/things")).json() == {"limit": PAGE_DEFAULT, "position": None}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"limit": 0}, "invalid"),
        ({"limit": -1}, "invalid"),
        ({"limit": PAGE_MAX + 1}, "invalid"),
        ({"limit": "many"}, "invalid"),
        ({"after": "x" * (CURSOR_MAX + 1)}, "invalid"),
        ({"after": "nonsense"}, "invalid_cursor"),
    ],
    ids=repr,
)
async def test_a_page_that_cannot_be_is_422(serve, asked, code):
    reply = await (await serve(router)).get("/things", params=asked)
    assert (reply.status_code, reply.json()["code"]) == (422, code)
