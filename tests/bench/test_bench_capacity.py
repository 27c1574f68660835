"""What so many bookings a second take."""

from __future__ import annotations

import json

import pytest

from bench import capacity, contended
from bench.capacity import Day, cores, costs, limits, lines, newest_first
from bench.page import put_between
from bench.results import LATEST_FILE, RESULTS

OPERATIONS = ("create_and_pay", "search", "seat_map", "read")
DAY = Day(searches=2, seat_maps=0, reads=0, full_max=0.5, server_cores=10)


def a_run(at: str, database: float, sandbox: float = 9.0) -> dict:
    parts = {"booking": 1.0 - database, "database": database, "sandbox": sandbox}
    found = {name: {"parts_cpu_ms": parts} for name in OPERATIONS}
    return {"at": at, "databases": {"mariadb": {"operations": found}}}


LATEST = {"mariadb": {name: {"cpu_ms": 4.0} for name in OPERATIONS}}


def test_a_booking_costs_what_is_done_for_it_where_it_is_spent():
    found = costs("mariadb", LATEST, [a_run("2", 0.25)], DAY)
    assert found == {"booking": 9.0, "database": 3.0, "flight": 0.0, "worker": 0.0}


def test_the_first_run_that_measured_it_says_where():
    runs = [{"databases": {}}, a_run("2", 0.5), a_run("1", 0.25)]
    assert costs("mariadb", LATEST, runs, DAY)["database"] == 6.0
    with pytest.raises(SystemExit, match="create_and_pay"):
        costs("mariadb", LATEST, [], DAY)


def test_cores_are_not_filled_to_the_brim():
    needed = cores({"booking": 10.0, "flight": 0.0, "worker": 1.0, "database": 5.1}, 100, DAY)
    assert needed == {"booking": 2, "flight": 1, "worker": 1, "database": 2}


def test_what_breaks_first_comes_first():
    relay, server = limits({"worker": 5.0, "database": 5.0}, DAY)
    assert (relay[0], server[0]) == (100, 1000)
    assert "relay" in relay[1]
    assert "server" in limits({"worker": 0.1, "database": 5.0}, DAY)[0][1]


def test_the_page_has_its_marks_and_what_the_results_say():
    page = capacity.PAGE.read_text(encoding="utf-8")
    told = "\n".join(lines(json.loads(LATEST_FILE.read_text()), newest_first(RESULTS), Day()))
    assert put_between(page, capacity.BEGIN, capacity.END, told) == page, "make bench-capacity"
    put_between(page, contended.BEGIN, contended.END, "")
