"""What every schedule needs first: airports, airlines, aircraft types."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import airportsdata

from skyhold.flight.models.layout import Layout
from skyhold.flight.repositories import schedule
from skyhold.kernel.db import Database, Duplicate, LostRace, Tx

from .schedule import fold


async def load(db: Database) -> None:
    """Add what is missing; what is there stays as it is. Doing it again changes nothing."""

    async def load_all(tx: Tx) -> None:
        try:
            await schedule.add_airports(tx, _airports())
            await schedule.add_airlines(tx, _airlines())
            await schedule.add_aircraft(tx, _aircraft())
        except Duplicate as error:  # another process is loading the same
            raise LostRace from error

    await db.transact(load_all)


def data_file(name: str) -> Traversable:
    """A data file of the package; README.md beside it says where it comes from."""
    return resources.files("skyhold.flight") / "data" / name


def _airports() -> Iterator[dict[str, Any]]:
    for code, airport in airportsdata.load("IATA").items():
        # '|' stands before the code and each name, so that a search can prefer beginnings.
        folded = "".join(f"|{fold(airport[part])}" for part in ("iata", "city", "name"))
        yield {
            "code": code,
            "name": airport["name"],
            "city": airport["city"],
            "country": airport["country"],
            "time_zone": airport["tz"],
            "folded": folded,
        }


def _airlines() -> dict[str, str]:
    with data_file("airlines.csv").open(encoding="utf-8") as file:
        return {row["code"]: row["name"] for row in csv.DictReader(file)}


def _aircraft() -> Iterator[dict[str, Any]]:
    drawings = tomllib.loads(data_file("aircraft.toml").read_text(encoding="utf-8"))
    for code, drawing in drawings.items():
        Layout.parse(drawing["cabins"])
        yield {"code": code, "name": drawing["name"], "layout": json.dumps(drawing["cabins"])}
