"""The demo schedule: a real week of flights from New York, moved to the days ahead."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from .csv_file import Numbered
from .reference import data_file

DAYS = 7


def demo_rows(first_day: date) -> Iterator[Numbered]:
    """The rows of an import for the seven days from `first_day`.

    Each day gets the flights of its own day of the week, so that loading the demo again on another
    day adds days and contradicts none.
    """
    week = _week()
    line = 0
    for day in (first_day + timedelta(days=ahead) for ahead in range(DAYS)):
        for flight in week[day.isoweekday()]:
            line += 1
            landing = day + timedelta(days=int(flight["arrival_day"]))
            yield (
                line,
                flight
                | {
                    "departing_at": f"{day}T{flight['departs']}",
                    "arriving_at": f"{landing}T{flight['arrives']}",
                },
            )


def demo_size() -> int:
    """How many flights the demo has."""
    return sum(map(len, _week().values()))


def _week() -> dict[int, list[dict[str, Any]]]:
    week: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    with (
        data_file("demo_week.csv.gz").open("rb") as packed,
        gzip.open(packed, "rt", encoding="utf-8", newline="") as file,
    ):
        for row in csv.DictReader(file):
            week[int(row["weekday"])].append(row)
    return week
