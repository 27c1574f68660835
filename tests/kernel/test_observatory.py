"""Whoever asks for the metrics has an answer in time, whatever the database does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest

from skyhold.kernel import observatory
from skyhold.kernel.observatory import Observatory, Question
from support.prometheus import Since, samples

DUE = Question("skyhold_test_due_rows", "Rows that are due", ("kind",))
AGE = Question("skyhold_test_age_seconds", "How old the oldest is")
FAILURES = "skyhold_probe_failures_total"


class Database:
    """Asked by a probe; it may be shut, broken, or deaf to being cut off."""

    def __init__(self) -> None:
        self.asked = 0
        self.asking = 0
        self.opening = asyncio.Event()
        self.opening.set()
        self.broken: Exception | None = None
        self.deaf = False

    async def count(self):
        self.asked += 1
        self.asking += 1
        try:
            while not self.opening.is_set():
                try:
                    await self.opening.wait()
                except asyncio.CancelledError:
                    if not self.deaf:
                        raise
            if self.broken:
                raise self.broken
            return {DUE: {("booking",): self.asked, ("payment",): 0}, AGE: {(): 1.5}}
        finally:
            self.asking -= 1


@pytest.fixture
async def db() -> Database:
    return Database()


def watching(probe, **limits):
    return Observatory({"a-probe": probe}, **{"probe_max_s": 0.05, "fresh_s": 0} | limits)


async def due(observatory):
    async with asyncio.timeout(5):
        text = (await observatory.report()).decode()
    return {labels[0][1]: value for labels, value in samples(text, DUE.name).items()}


async def test_what_is_asked_for_stands_beside_what_is_counted(db):
    text = (await watching(db.count).report()).decode()
    assert samples(text, DUE.name) == {(("kind", "booking"),): 1, (("kind", "payment"),): 0}
    assert samples(text, AGE.name) == {(): 1.5}
    assert f"# TYPE {DUE.name} gauge" in text
    assert "# TYPE skyhold_http_requests_total counter" in text


async def test_answers_of_several_probes_to_one_question_are_one_family(db):
    async def holds():
        return {DUE: {("hold",): 7}}

    both = Observatory({"bookings": db.count, "flights": holds})
    text = (await both.report()).decode()
    assert {labels[0][1] for labels in samples(text, DUE.name)} == {"booking", "payment", "hold"}
    assert text.count(f"# TYPE {DUE.name} gauge") == 1


async def test_a_probe_that_fails_is_counted_and_the_others_are_still_heard(db, logged):
    async def holds():
        return {DUE: {("hold",): 7}}

    since, db.broken = Since(), ConnectionError("away")
    seen = await due(Observatory({"a-probe": db.count, "flights": holds}))
    assert seen == {"hold": 7}
    assert since(FAILURES, probe="a-probe") == 1
    assert since(FAILURES, probe="flights") == 0
    assert [(line["event"], line["probe"]) for line in logged] == [
        ("metrics.probe_failed", "a-probe")
    ]


async def test_a_slow_database_makes_no_scrape_wait_longer_than_the_limit(db, logged):
    since, began_at = Since(), time.monotonic()
    db.opening.clear()
    watched = watching(db.count, probe_max_s=0.2)
    assert await due(watched) == {}
    assert 0.19 < time.monotonic() - began_at < 2
    assert since(FAILURES, probe="a-probe") == 1
    await asyncio.sleep(0)
    assert db.asking == 0  # it was cut off
    db.opening.set()
    assert await due(watched) == {"booking": 2, "payment": 0}


async def test_a_question_that_cannot_even_be_cut_off_is_not_asked_a_second_time(db, logged):
    since = Since()
    db.opening.clear()
    db.deaf = True
    watched = watching(db.count)
    for _ in range(5):
        assert await due(watched) == {}
    assert (db.asked, db.asking) == (1, 1)
    assert since(FAILURES, probe="a-probe") == 5
    db.opening.set()
    await asyncio.sleep(0.01)
    assert await due(watched) == {"booking": 2, "payment": 0}


async def test_scrapes_at_the_same_time_share_one_look(db):
    db.opening.clear()
    watched = watching(db.count, probe_max_s=5)
    scrapes = [asyncio.create_task(due(watched)) for _ in range(20)]
    await asyncio.sleep(0.01)
    db.opening.set()
    assert await asyncio.gather(*scrapes) == [{"booking": 1, "payment": 0}] * 20
    assert db.asked == 1


async def test_what_fails_for_many_at_once_has_failed_once(db, logged):
    since = Since()
    db.opening.clear()
    watched = watching(db.count)
    assert await asyncio.gather(*(due(watched) for _ in range(20))) == [{}] * 20
    assert since(FAILURES, probe="a-probe") == 1


async def test_one_who_hangs_up_takes_nobody_elses_answer_along(db):
    db.opening.clear()
    watched = watching(db.count, probe_max_s=5)
    first, second = (asyncio.create_task(due(watched)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait({first})
    db.opening.set()
    assert await second == {"booking": 1, "payment": 0}


async def test_answers_of_a_moment_ago_are_good_enough_and_so_is_their_absence(db, logged):
    watched = watching(db.count, fresh_s=3_600)
    assert await due(watched) == await due(watched) == {"booking": 1, "payment": 0}
    db.broken = ConnectionError("away")
    failing = watching(db.count, fresh_s=3_600)
    assert await due(failing) == await due(failing) == {}
    assert db.asked == 2


# --- several processes -----------------------------------------------------------------------

CHILD = """
import sys
from skyhold.kernel.db_metrics import Pool
from skyhold.kernel.metrics import Requests, Rounds
requests = Requests("booking")
requests.in_flight.inc()
for _ in range(int(sys.argv[1])):
    requests.answered("GET", "/x", 200, 0.03)
if sys.argv[1] == "3":
    Rounds("drive").succeeded()
Pool("booking", "read", 10)
print("told", flush=True)
sys.stdin.readline()
"""
ASK = """
import asyncio, sys
from skyhold.kernel.observatory import Observatory, Question
async def probe():
    return {Question("skyhold_test_due_rows", "Rows", ("kind",)): {("booking",): 4}}
sys.stdout.buffer.write(asyncio.run(Observatory({"p": probe}).report()))
"""


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder as a parent prepares it, with something an earlier run left there."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"what an earlier run left")
    monkeypatch.setenv(observatory.SHARED_FOLDER, "")
    observatory.share(folder)
    return folder


@pytest.fixture
def start():
    """Start processes that count and then wait; all of them end with the test."""
    started = []

    def begin(requests):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(requests)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "told\n"
        started.append(child)
        return child

    yield begin
    for child in started:
        if child.poll() is None:
            child.communicate("\n", timeout=10)
        child.stdin.close()
        child.stdout.close()


def ask_any():
    asked = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=30
    )
    return asked.stdout


BOOKING = ("service", "booking")
GET_X = (("method", "GET"), ("route", "/x"), BOOKING)


def test_any_of_several_processes_answers_for_all_and_the_dead_no_longer_count(shared, start):
    first, _ = start(2), start(3)
    text = ask_any()
    total = samples(text, "skyhold_http_requests_total")
    assert total == {(*GET_X, ("status", "200")): 5}
    assert samples(text, "skyhold_http_request_duration_seconds_count") == {GET_X: 5}
    assert samples(text, "skyhold_http_requests_in_flight") == {(BOOKING,): 2}
    pools = samples(text, "skyhold_db_pool_connections_max")
    assert pools == {(("database", "booking"), ("pool", "read")): 20}
    last = samples(text, "skyhold_job_last_success_timestamp_seconds")
    assert last[("name", "drive"),] > time.time() - 60
    assert samples(text, "skyhold_test_due_rows") == {(("kind", "booking"),): 4}

    first.communicate("\n", timeout=10)
    observatory.forget_process(first.pid)
    text = ask_any()
    assert samples(text, "skyhold_http_requests_total") == total  # what was done stays done
    assert samples(text, "skyhold_http_requests_in_flight") == {(BOOKING,): 1}
    assert samples(text, "skyhold_db_pool_connections_max") == {next(iter(pools)): 10}


def test_in_a_single_process_there_is_nothing_to_forget(monkeypatch):
    monkeypatch.delenv(observatory.SHARED_FOLDER, raising=False)
    observatory.forget_process(os.getpid())
