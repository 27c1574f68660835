"""Column types: what is written comes back the same, and is compared the same, on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from contract_stage import PHASES, VALUES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError, StatementError

from skyhold.kernel.db import Duplicate

# Each of them is itself and none of the others.
TEXTS = [
    "a",
    "A",
    "a ",
    "a  ",
    " a",
    "á",
    "a\N{COMBINING ACUTE ACCENT}",
    "ß",
    "ss",
    "",
    " ",
    "\N{FACE WITH TEARS OF JOY}",
    "\N{SLIGHTLY SMILING FACE}",
    "\N{LINEAR B SYLLABLE B008 A}",
    "İ",
    "i",
    "\N{FULLWIDTH LATIN SMALL LETTER E}",
    "e",
    "\\",
    "a\tb\n",
    "%",
    "'; --",
]
KEYS = [each for each in TEXTS if each.isascii()]


@pytest.fixture
async def empty(db):
    await db.transact(lambda tx: tx.run(delete(VALUES)))
    return db


async def put(db, **values):
    await db.transact(lambda tx: tx.run(insert(VALUES).values(**{"id": "1"} | values)))


async def read_back(db, column, id="1"):
    async with db.read() as tx:
        return await tx.scalar(select(VALUES.c[column]).where(VALUES.c.id == id))


async def test_texts_are_compared_exactly(empty):
    rows = [{"id": str(nth), "text": each} for nth, each in enumerate(TEXTS)]
    await empty.transact(lambda tx: tx.run(insert(VALUES), rows))
    async with empty.read() as tx:
        for each in TEXTS:
            found = await tx.rows(select(VALUES.c.text).where(VALUES.c.text == each))
            assert [row.text for row in found] == [each]
            among = await tx.rows(select(VALUES.c.text).where(VALUES.c.text.in_([each, "no"])))
            assert [row.text for row in among] == [each]
    for each in TEXTS:
        with pytest.raises(Duplicate):
            await put(empty, id="again", text=each)


async def test_keys_are_compared_exactly(empty):
    await empty.transact(lambda tx: tx.run(insert(VALUES), [{"id": each} for each in KEYS]))
    async with empty.read() as tx:
        for each in KEYS:
            found = await tx.rows(select(VALUES.c.id).where(VALUES.c.id == each))
            assert [row.id for row in found] == [each]
    for each in KEYS:
        moved = update(VALUES).where(VALUES.c.id == each).values(amount=1)
        assert await empty.transact(lambda tx, moved=moved: tx.run(moved)) == 1


async def test_keys_are_ordered_and_paged_the_same_way(empty):
    """A page begins after the last row of the one before: `<` and ORDER BY have to agree."""
    at = datetime(2080, 1, 1, tzinfo=UTC)
    keys = [f"018f-{digits}" for digits in ("0a", "0b", "a0", "9f", "00", "ff")]
    await empty.transact(lambda tx: tx.run(insert(VALUES), [{"id": key, "at": at} for key in keys]))
    seen: list[str] = []
    async with empty.read() as tx:
        while page := await tx.rows(
            select(VALUES.c.id)
            .where(tuple_(VALUES.c.at, VALUES.c.id) > (at, seen[-1] if seen else ""))
            .order_by(VALUES.c.at, VALUES.c.id)
            .limit(2)
        ):
            seen += [row.id for row in page]
    assert seen == sorted(keys)


INSTANTS = [
    datetime(2026, 12, 1, 12, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 12, 1, 12, 0, 0, 999_999, tzinfo=UTC),
    datetime(2026, 3, 29, 2, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


@pytest.mark.parametrize("at", INSTANTS, ids=str)
async def test_an_instant_comes_back_to_the_microsecond_and_in_utc(empty, at):
    await put(empty, at=at)
    found = await read_back(empty, "at")
    assert found == at
    assert found.tzinfo is UTC


async def test_instants_are_compared_to_the_microsecond(empty):
    at = INSTANTS[0]
    await put(empty, at=at)
    earlier, later = at - timedelta(microseconds=1), at + timedelta(microseconds=1)
    async with empty.read() as tx:
        for bound, there in ((earlier, False), (at, True), (later, True)):
            found = await tx.row(select(VALUES.c.id).where(VALUES.c.at <= bound))
            assert (found is not None) == there, bound


async def test_a_naive_datetime_is_refused(empty):
    naive = datetime.fromisoformat("2026-12-01T12:00:00")
    with pytest.raises(StatementError, match="has no time zone"):
        await put(empty, at=naive)
    assert await read_back(empty, "id") is None


async def test_the_zone_of_the_session_is_utc_whatever_the_servers_is(empty, dialect):
    if dialect == "sqlite":
        return  # it has no session, and keeps what it is given
    now = {"mariadb": "SELECT NOW(6)", "postgresql": "SELECT LOCALTIMESTAMP"}[dialect]
    async with empty.read() as tx:
        told = await tx.scalar(text(now))
    assert abs(told.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


class Colour(StrEnum):
    RED = "red"


async def test_a_member_of_a_string_enum_is_kept_as_its_value(empty):
    await put(empty, id=Colour.RED, text=Colour.RED)
    assert await read_back(empty, "text", id=Colour.RED) == "red"
    assert type(await read_back(empty, "id", id="red")) is str
    async with empty.read() as tx:
        assert await tx.scalar(select(VALUES.c.id).where(VALUES.c.text.in_(list(Colour)))) == "red"


DOCUMENTS = [
    {"segments": [{"seats": ["1A", "1C"], "fare": {"amount": "129.00"}}], "n": None, "x": True},
    ["é\N{FACE WITH TEARS OF JOY}", "a\nb", '"\\', "\x00"],
    {},
    [],
    [1, -1, 2**53, 1.5, 0, False],
    "text",
    0,
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=repr)
async def test_a_document_comes_back_as_it_was(empty, document):
    await put(empty, data=document)
    assert await read_back(empty, "data") == document


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(document=st.lists(json_values, max_size=4))
@settings(
    max_examples=15, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_document_comes_back_as_it_was(empty, document):
    await empty.transact(lambda tx: tx.run(delete(VALUES)))
    await put(empty, data=document)
    assert await read_back(empty, "data") == document


@pytest.mark.parametrize("flag", [True, False, None])
async def test_a_flag_comes_back_as_it_was_and_is_found_by_it(empty, flag):
    await put(empty, flag=flag)
    assert await read_back(empty, "flag") is flag
    async with empty.read() as tx:
        for asked in (True, False):
            found = await tx.row(select(VALUES.c.id).where(VALUES.c.flag.is_(asked)))
            assert (found is not None) == (flag is asked)


@pytest.mark.parametrize("amount", [0, -1, 2**63 - 1, -(2**63)])
async def test_amounts_have_64_bits(empty, amount):
    await put(empty, amount=amount)
    assert await read_back(empty, "amount") == amount


async def test_what_does_not_fit_is_refused_and_not_cut_off(empty, dialect):
    if dialect == "sqlite":
        return  # it has no lengths, and cuts nothing off
    with pytest.raises(DBAPIError):
        await put(empty, text="x" * 201)
    assert await read_back(empty, "id") is None
