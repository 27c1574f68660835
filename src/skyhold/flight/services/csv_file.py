"""A schedule in a CSV file, line by line; what the columns mean is in `importing`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence

from skyhold.contracts.holds import Cabin

FARE_COLUMNS = {cabin: f"fare_{cabin.value}" for cabin in Cabin}
REQUIRED_COLUMNS = frozenset(
    {"airline", "number", "origin", "destination", "departing_at", "arriving_at", "aircraft"}
    | {"currency"}
)
COLUMNS = REQUIRED_COLUMNS | {"airline_name", "aircraft_name", *FARE_COLUMNS.values()}

Numbered = tuple[int, Mapping[str, str]]


class NotASchedule(Exception):
    """The file cannot be a schedule; the message says what is missing."""


def read_csv(lines: Iterable[str]) -> Iterator[Numbered]:
    """The rows of a CSV file with their line numbers. Raises NotASchedule for a wrong header.

    A row is a line: nothing in a schedule spans two, and so a stray quote costs one row instead of
    all those up to the next one. A line that cannot be read comes with the single key `unreadable`.
    """
    numbered = enumerate(lines, start=1)
    header = _cells(next(numbered, (1, ""))[1])
    columns = [] if isinstance(header, str) else header
    missing, strange = REQUIRED_COLUMNS - set(columns), set(columns) - COLUMNS
    if missing:
        msg = f"The header line lacks: {', '.join(sorted(missing))}."
        raise NotASchedule(msg)
    if len(set(columns)) != len(columns):
        msg = "The header line names a column twice."
        raise NotASchedule(msg)
    if strange:
        msg = f"Unknown columns in the header line: {', '.join(sorted(strange))}."
        raise NotASchedule(msg)
    for number, line in numbered:
        if line.strip():
            yield number, _named(columns, _cells(line))


def _cells(line: str) -> list[str] | str:
    """The cells of a line, or why it has none."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        return str(error)


def _named(columns: Sequence[str], cells: list[str] | str) -> Mapping[str, str]:
    if isinstance(cells, str):
        return {"unreadable": f"not a line of CSV: {cells}"}
    if len(cells) != len(columns):
        return {"unreadable": f"{len(cells)} cells, but the header has {len(columns)}"}
    return dict(zip(columns, cells, strict=True))
