"""The demo schedule: a week that can be loaded on any day, again and again."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import date, datetime, timedelta

import airportsdata
import pytest
import pytest_asyncio

from skyhold.flight.models.flight import to_instant
from skyhold.flight.services.demo import DAYS, demo_rows, demo_size
from skyhold.flight.services.importing import Importer
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import open_database

MONDAY = date(2090, 6, 5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def load(template, tmp_path_factory):
    """Load the demo into one database; answers the summary and what was refused."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    shutil.copytree(template, folder)
    db = open_database(FlightSettings(_env_file=None, data_dir=folder))

    async def load(first_day: date):
        refusals = []
        importer = Importer(db, refuse=lambda *why: refusals.append(why), progress=lambda _: None)
        return await importer.run(demo_rows(first_day)), refusals

    yield load
    await db.close()


async def test_every_flight_is_accepted_and_the_next_day_adds_one_day_and_contradicts_none(load):
    summary, refusals = await load(MONDAY)
    assert (refusals, summary.refused, summary.unchanged) == ([], 0, 0)
    assert summary.added == demo_size() > 6000

    mondays = sum(row["weekday"] == "1" for _, row in demo_rows(MONDAY))
    summary, refusals = await load(MONDAY + timedelta(days=1))
    assert (refusals, summary.refused) == ([], 0)
    assert summary.unchanged == demo_size() - mondays
    assert summary.added == mondays


@pytest.mark.parametrize(
    "first_day", [MONDAY + timedelta(days=ahead) for ahead in range(7)], ids=str
)
def test_every_day_of_the_week_ahead_gets_the_flights_of_its_own_weekday(first_day):
    days = Counter()
    for _, row in demo_rows(first_day):
        day = date.fromisoformat(row["departing_at"][:10])
        assert day.isoweekday() == int(row["weekday"])
        days[day] += 1
    assert sorted(days) == [first_day + timedelta(days=ahead) for ahead in range(DAYS)]
    assert sum(days.values()) == demo_size()


@pytest.mark.parametrize("sunday", [date(2027, 3, 14), date(2027, 11, 7)], ids=str)
def test_no_flight_is_lost_to_a_change_of_the_clocks(sunday):
    zones = {code: airport["tz"] for code, airport in airportsdata.load("IATA").items()}
    for _, row in demo_rows(sunday):
        departs = to_instant(datetime.fromisoformat(row["departing_at"]), zones[row["origin"]])
        arrives = to_instant(datetime.fromisoformat(row["arriving_at"]), zones[row["destination"]])
        assert timedelta() < arrives - departs < timedelta(hours=13)
