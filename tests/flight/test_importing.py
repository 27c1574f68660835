"""Importing a schedule: good rows are added, each bad one is named by its line."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from skyhold.flight.models.tables import AirlineRow, FlightRow
from skyhold.flight.services import csv_file, importing
from skyhold.flight.services.csv_file import NotASchedule, read_csv
from skyhold.flight.services.importing import Importer, Summary

GOOD = {
    "airline": "UA",
    "number": "1",
    "origin": "EWR",
    "destination": "IAH",
    "departing_at": "2090-12-01T05:15",
    "arriving_at": "2090-12-01T08:19",
    "aircraft": "738",
    "aircraft_name": "Boeing 737-824",
    "currency": "USD",
    "fare_first": "649.00",
    "fare_economy": "129.00",
}
COLUMNS = list(GOOD)
_numbers = itertools.count(1000)


def a_row(**cells) -> str:
    return ",".join((GOOD | cells).get(column, "") for column in COLUMNS)


def a_file(*lines: str, columns: list[str] = COLUMNS) -> str:
    return "\r\n".join([",".join(columns), *lines]) + "\r\n"


@dataclass
class Import:
    """What one import did and said."""

    refusals: list[tuple[int, str]] = field(default_factory=list)
    progress: list[int] = field(default_factory=list)
    summary: Summary | None = None

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.summary.added, self.summary.unchanged, self.summary.refused

    @property
    def lines(self) -> list[int]:
        return [line for line, _ in self.refusals]


@pytest.fixture
def load(inside):
    """Import the text of a file."""

    async def load(text: str) -> Import:
        done = Import()
        importer = Importer(
            inside.flights.db,
            refuse=lambda line, reason: done.refusals.append((line, reason)),
            progress=done.progress.append,
        )
        done.summary = await importer.run(read_csv(io.StringIO(text, newline="")))
        return done

    return load


@pytest.fixture
def rows_of(inside):
    """The flights of an airline as they are kept, by number."""

    async def rows_of(airline="UA") -> list[dict]:
        query = select(FlightRow.__table__).where(FlightRow.airline == airline)
        async with inside.flights.db.read() as tx:
            rows = await tx.rows(query.order_by(FlightRow.number))
        return [dict(row._mapping) for row in rows]

    return rows_of


@pytest.fixture
def numbers_of(rows_of):
    async def numbers_of(airline) -> list[int]:
        return [row["number"] for row in await rows_of(airline)]

    return numbers_of


# --- good rows ------------------------------------------------------------------------------------


async def test_a_row_becomes_a_flight_as_if_staff_had_added_it(load, inside, post_flight):
    done = await load(a_file(a_row(number="1545")))
    assert (done.counts, done.refusals) == ((1, 0, 0), [])
    imported = await inside.flight("UA1545-2090-12-01-EWR")
    by_hand = await post_flight(
        **{name: GOOD[name] for name in COLUMNS[:8]} | {"number": 1546},
        fares={
            "first": {"amount": "649.00", "currency": "USD"},
            "economy": {"amount": "129.00", "currency": "USD"},
        },
    )
    for fact in by_hand.body.keys() - {"id", "flight_number"}:
        assert imported[fact] == by_hand[fact]


async def test_importing_again_changes_nothing(load, rows_of):
    text = a_file(*(a_row(airline="DL", number=str(number)) for number in range(1, 6)))
    assert (await load(text)).counts == (5, 0, 0)
    before = await rows_of("DL")
    assert (await load(text)).counts == (0, 5, 0)
    assert await rows_of("DL") == before


async def test_columns_may_stand_in_any_order(load, rows_of):
    columns, row = COLUMNS[::-1], GOOD | {"airline": "AA"}
    done = await load(a_file(",".join(row[column] for column in columns), columns=columns))
    assert done.counts == (1, 0, 0)
    assert [row["fare_economy"] for row in await rows_of("AA")] == [12900]


async def test_a_cabin_without_a_fare_is_not_sold(load, rows_of):
    await load(a_file(a_row(airline="AS", fare_first=""), a_row(airline="AS", number="2")))
    assert [row["fare_first"] for row in await rows_of("AS")] == [None, 64900]


async def test_blank_cells_say_nothing(load, rows_of):
    columns = [*COLUMNS, "airline_name", "fare_business"]
    row = a_row(airline="EV", aircraft_name="", fare_first=" ")
    done = await load(a_file(f"{row},,", columns=columns))
    assert (done.counts, done.refusals) == ((1, 0, 0), [])
    (kept,) = await rows_of("EV")
    assert kept["aircraft_name"] == "Boeing 737-800", "that of its type"
    assert (kept["fare_first"], kept["fare_business"]) == (None, None)


async def test_a_time_that_comes_twice_is_the_same_flight_when_it_is_imported_again(load):
    # At 02:00 in New York it is 01:00 once more.
    row = a_row(departing_at="2027-11-07T01:30", arriving_at="2027-11-07T05:00")
    assert (await load(a_file(row))).counts == (1, 0, 0)
    assert (await load(a_file(row))).counts == (0, 1, 0)


async def test_times_with_an_offset_leave_on_the_day_of_the_airport(load, inside):
    row = a_row(
        number="78",
        departing_at="2090-12-02T03:30+00:00",
        arriving_at="2090-12-02T07:30+00:00",
    )
    assert (await load(a_file(row))).counts == (1, 0, 0)
    flight = await inside.flight("UA78-2090-12-01-EWR")
    assert flight["departing_at"] == "2090-12-01T22:30:00-05:00"


async def test_a_file_longer_than_a_chunk_is_told_about_chunk_by_chunk(load, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    rows = [a_row(airline="WN", number=str(number)) for number in range(1, 6)]
    done = await load(a_file(*rows, rows[0]))
    assert done.counts == (5, 1, 0)
    assert done.progress == [2, 4, 6]


async def test_an_airline_that_is_not_known_is_added_by_its_name(load, inside):
    row = a_row(airline="0Z")
    columns = [*COLUMNS, "airline_name"]
    done = await load(a_file(f"{row},", f"{row},Zéphyr Air", f"{row},", columns=columns))
    assert done.counts == (1, 1, 1), "known from the row that names it"
    assert done.refusals == [(2, "unknown airline 0Z; give its airline_name to add it")]
    assert (await load(a_file(row))).counts == (0, 1, 0)
    flight = await inside.flight("0Z1-2090-12-01-EWR")
    assert flight["airline"] == {"code": "0Z", "name": "Zéphyr Air"}


async def test_a_row_that_is_refused_adds_no_airline_either(load, inside):
    columns = [*COLUMNS, "airline_name"]
    row = a_row(airline="1Z", aircraft="QQQ")
    done = await load(a_file(f"{row},Nobody Air", columns=columns))
    assert done.counts == (0, 0, 1)
    async with inside.flights.db.read() as tx:
        known = await tx.rows(select(AirlineRow).where(AirlineRow.code == "1Z"))
    assert known == []


async def test_the_name_of_a_known_airline_stays(load, inside):
    columns = [*COLUMNS, "airline_name"]
    done = await load(a_file(f"{a_row(number='77')},Somebody Else", columns=columns))
    assert done.counts == (1, 0, 0)
    async with inside.flights.db.read() as tx:
        name = await tx.scalar(select(AirlineRow.name).where(AirlineRow.code == "UA"))
    assert name == "United Air Lines Inc."


# --- bad rows -------------------------------------------------------------------------------------

BAD = {
    "airline in small letters": ({"airline": "ua"}, "airline"),
    "airline not known": ({"airline": "QQ"}, "unknown airline QQ"),
    "number zero": ({"number": "0"}, "number"),
    "number too large": ({"number": "10000"}, "number"),
    "number no number": ({"number": "12a"}, "number"),
    "number missing": ({"number": ""}, "number"),
    "origin not known": ({"origin": "QQQ"}, "unknown airport QQQ"),
    "origin no code": ({"origin": "NEWARK"}, "origin"),
    "destination not known": ({"destination": "QQQ"}, "unknown airport QQQ"),
    "goes nowhere": ({"destination": "EWR"}, "lands where it started"),
    "departure no time": ({"departing_at": "noon"}, "departing_at"),
    "departure on no day": ({"departing_at": "2090-02-30T05:15"}, "departing_at"),
    "departure in seconds since 1970": ({"departing_at": "1798761600"}, "departing_at"),
    "departure before any calendar": ({"departing_at": "0001-01-01T00:00"}, "departing_at"),
    "arrival after every calendar": ({"arriving_at": "9999-12-31T23:59"}, "arriving_at"),
    "departure that clocks jump over": ({"departing_at": "2027-03-14T02:30"}, "does not exist"),
    "lands before it departs": ({"arriving_at": "2090-12-01T04:14"}, "lands before it departs"),
    "aircraft not known": ({"aircraft": "QQQ"}, "unknown aircraft type QQQ"),
    "aircraft without that cabin": ({"aircraft": "E90"}, "no first cabin"),
    "currency not known": ({"currency": "QQQ"}, "currency"),
    "no fare at all": ({"fare_first": "", "fare_economy": ""}, "at least one fare"),
    "negative fare": ({"fare_economy": "-1.00"}, "amount"),
    "fare no amount": ({"fare_economy": "1e3"}, "amount"),
    "fare with a fraction of a cent": ({"fare_economy": "1.005"}, "2 decimals"),
    "fare with a decimal comma": ({"fare_economy": '"129,00"'}, "amount"),
    "huge fare": ({"fare_economy": "99999999999.00"}, "more than this system handles"),
    "endless fare": ({"fare_economy": "9" * 201}, "too long"),
    "letter and no digit": ({"fare_economy": "١٢٩"}, "amount"),
    "control character": ({"aircraft_name": "Boeing\x07"}, "cannot be printed"),
    "NUL": ({"aircraft_name": "Boeing\x00737"}, "cannot be printed"),
    "broken UTF-8": ({"aircraft_name": "Z\udcfcrich"}, "cannot be printed"),
    "quote inside a cell": ({"aircraft_name": '"Boeing"737'}, "not a line of CSV"),
    "quote that is never closed": ({"aircraft_name": '"Boeing'}, "not a line of CSV"),
    "too many cells": ({"fare_economy": "129.00,1"}, "12 cells, but the header has 11"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_row_is_named_and_the_rows_around_it_are_added(load, numbers_of, kind):
    cells, reason = BAD[kind]
    before, number, after = (next(_numbers) for _ in range(3))
    bad = a_row(**{"airline": "B6", "number": str(number)} | cells)
    good = [a_row(airline="B6", number=str(number)) for number in (before, after)]
    done = await load(a_file(good[0], bad, good[1]))
    ((line, said),) = done.refusals
    assert done.counts == (2, 0, 1)
    assert line == 3
    assert reason in said
    added = await numbers_of("B6")
    assert [nr in added for nr in (before, number, after)] == [True, False, True]


async def test_empty_lines_are_no_rows_but_count_as_lines(load):
    done = await load(a_file("", a_row(airline="HA"), "", a_row(airline="HA", number="x")))
    assert (done.counts, done.lines) == ((1, 0, 1), [5])


async def test_a_row_with_too_few_cells_is_refused(load):
    short = a_row().rpartition(",")[0]
    done = await load(a_file(short, "UA"))
    assert (done.counts, done.lines) == ((0, 0, 2), [2, 3])
    assert done.refusals[0][1] == "10 cells, but the header has 11"


async def test_a_newline_inside_quotes_costs_its_own_lines_and_no_more(load, numbers_of):
    torn = a_row(airline="F9", number="1", aircraft_name='"two\nlines"')
    done = await load(a_file(torn, a_row(airline="F9", number="2")))
    assert (done.counts, done.lines) == ((1, 0, 2), [2, 3])
    assert await numbers_of("F9") == [2]


async def test_of_two_rows_for_one_flight_the_first_counts(load, rows_of):
    one, other = (a_row(airline="VX", fare_economy=fare) for fare in ("100.00", "200.00"))
    done = await load(a_file(one, other, one))
    assert (done.counts, done.lines) == ((1, 1, 1), [3])
    assert "is there already, with another fare_economy" in done.refusals[0][1]
    assert [row["fare_economy"] for row in await rows_of("VX")] == [10000]


async def test_an_import_never_overwrites_what_staff_have_changed(load, patch_flight, rows_of):
    text = a_file(a_row(airline="FL"))
    await load(text)
    fares = {"economy": {"amount": "199.00", "currency": "USD"}}
    assert (await patch_flight("FL1-2090-12-01-EWR", fares=fares)).status == 200
    assert (await load(text)).counts == (0, 0, 1)
    assert [row["fare_economy"] for row in await rows_of("FL")] == [19900]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", "aircraft, airline, arriving_at, currency, departing_at, destination, number, origin"),
        (a_file(columns=[name for name in COLUMNS if name != "number"]), "number"),
        (a_file().replace(",", ";"), "airline"),
        (a_file().upper(), "airline"),
        ('"air"line,number\r\n', "airline"),
        (a_file(columns=[*COLUMNS, "fare_econmy"]), "fare_econmy"),
    ],
    ids=["an empty file", "a column missing", "semicolons", "capitals", "no CSV", "a typing error"],
)
async def test_a_file_without_the_right_header_is_no_schedule(load, text, column):
    with pytest.raises(NotASchedule, match=column):
        await load(text)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def import_file(template, tmp_path):
    """`skyhold flight import FILE`, with a database of its own."""
    shutil.copytree(template, tmp_path / "data")
    skyhold = Path(sys.executable).with_name("skyhold")

    def run(name: str, content: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / name).write_bytes(content)
        return subprocess.run(
            [skyhold, "flight", "import", name],
            env=os.environ | {"DATA_DIR": "data", "COLUMNS": "200"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_command_imports_a_packed_file_and_the_second_time_changes_nothing(import_file):
    good = a_file(*(a_row(number=number) for number in "123")).encode("utf-8-sig")
    first = import_file("week.csv.gz", gzip.compress(good))
    assert first.returncode == 0, first.stderr
    assert "3 rows: 3 added, 0 there already, 0 refused." in first.stderr
    # Once more, with a row whose bytes are no UTF-8.
    bad = a_row(number="4", aircraft_name="Zürich").encode("latin-1") + b"\r\n"
    second = import_file("week.csv.gz", gzip.compress(good + bad))
    assert second.returncode == 1
    assert "4 rows: 0 added, 3 there already, 1 refused." in second.stderr
    assert "line 5: a cell is too long or holds characters" in second.stderr


def test_the_command_says_in_a_sentence_why_a_file_is_no_schedule(import_file):
    done = import_file("week.csv", b"some,thing,else\n1,2,3\n")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("skyhold: The header line lacks: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"airline,number", gzip.compress(a_file().encode())[:-9]],
    ids=["not packed", "cut off"],
)
def test_the_command_says_in_a_sentence_that_a_packed_file_is_broken(import_file, content):
    done = import_file("week.csv.gz", content)
    assert done.returncode == 2
    assert "skyhold: week.csv.gz is no gzip file, or not all of it" in done.stderr


def test_the_columns_of_the_manual_are_those_that_are_read():
    """The head of the module is what people read before they write a file."""
    named = set(importing.__doc__.replace(",", " ").split())
    assert {*COLUMNS, "airline_name", *csv_file.FARE_COLUMNS.values()} <= named
    assert set(next(csv.reader([a_file().splitlines()[0]]))) >= csv_file.REQUIRED_COLUMNS
