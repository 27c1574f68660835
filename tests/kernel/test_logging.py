"""What is logged is one JSON object a line, and no secret is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.contextvars import get_contextvars

from skyhold.kernel.logging import bound

PROGRAM = """
import logging
from structlog.contextvars import bound_contextvars
from skyhold.kernel.logging import SECRETS, configure, get_logger

configure("INFO")
log = get_logger("a.module")
with bound_contextvars(request_id="req-7"):
    log.info("seat.held", seat="12A", price=129)
log.debug("too.quiet")
log.info("foreign", said="\\u00e9 \\x9b", of=list)
log.info("odd", file="a\\udcff", raw=b"\\xff", of=list)
log.info("login", **{name: "hunter2" for name in SECRETS})
logging.getLogger("a.library").warning("careful: %s", "hot")
logging.getLogger("a.library").info("with more", extra={"password": "hunter2", "port": 1})
logging.getLogger("alembic").info("chatter")
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("uvicorn.access").info("GET /?token=hunter2")
try:
    password = "hunter" + "2"
    raise LookupError("no such seat")
except LookupError:
    log.exception("failed")
"""


@pytest.fixture(scope="module")
def written():
    """What a process that is not at a terminal writes to stderr."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == ""
    assert "hunter2" not in ended.stderr
    return ended.stderr


@pytest.fixture(scope="module")
def lines(written):
    """Each of its lines, by what happened."""
    return {line["event"]: line for line in map(json.loads, written.splitlines())}


def test_an_event_is_one_line_with_its_facts_and_the_requests_id(lines):
    line = dict(lines["seat.held"])
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "seat.held",
        "level": "info",
        "seat": "12A",
        "price": 129,
        "request_id": "req-7",
    }


def test_whatever_is_told_is_written_and_no_terminal_takes_it_for_orders(lines, written):
    foreign, odd = lines["foreign"], lines["odd"]
    assert (foreign["said"], foreign["of"]) == ("\u00e9 \x9b", repr(list))
    assert (odd["file"], odd["raw"], odd["of"]) == ("a\udcff", repr(b"\xff"), repr(list))
    assert written.isascii()


def test_a_secret_is_never_written_whoever_passes_it(lines):
    login = lines["login"]
    assert {login[name] for name in ("password", "token", "authorization", "secret")} == {
        "[redacted]"
    }
    assert (lines["with more"]["password"], lines["with more"]["port"]) == ("[redacted]", 1)


def test_libraries_log_in_the_same_form(lines):
    assert lines["careful: hot"]["level"] == "warning"
    assert "started" in lines


def test_what_nobody_needs_is_not_written(lines):
    assert lines.keys() == {
        "seat.held",
        "foreign",
        "odd",
        "login",
        "careful: hot",
        "with more",
        "started",
        "failed",
    }


def test_an_exception_stays_within_its_line(lines):
    assert "LookupError: no such seat" in lines["failed"]["exception"]


def test_facts_are_told_inside_and_then_those_from_before_again():
    with bound(request_id="outer", service="one"):
        with bound(request_id="inner", booking_id="b"):
            inside = get_contextvars()
        assert inside == {"request_id": "inner", "service": "one", "booking_id": "b"}
        assert get_contextvars() == {"request_id": "outer", "service": "one"}
    assert not get_contextvars()


CIRCLE = """
from skyhold.kernel.logging import configure, get_logger

class Odd:
    def __repr__(self):
        raise RuntimeError("not even that")

configure("INFO")
log = get_logger("a.module")
circle = {"ms": float("nan")}
circle["itself"] = circle
log.info("circle", circle=circle)
log.info("odd", it=Odd(), seat="12A")
log.info("bound", ms=float("inf"))
print("went on")
"""


def test_what_cannot_be_written_as_json_is_written_as_it_can_be():
    done = subprocess.run(
        [sys.executable, "-c", CIRCLE], capture_output=True, text=True, check=True
    )
    circle, odd, infinite = (
        json.loads(line, parse_constant=pytest.fail) for line in done.stderr.splitlines()
    )
    assert (circle["event"], odd["event"], infinite["ms"]) == ("circle", "odd", "Infinity")
    assert (odd["it"], odd["seat"]) == ("<Odd>", "12A")
    assert done.stdout == "went on\n"


FULL = """
import asyncio
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.logging import configure, get_logger

configure("INFO")
rounds = 0

async def work():
    global rounds
    rounds += 1
    raise LookupError("nothing to do")

async def main():
    get_logger("a.module").info("seat.held")
    job = Periodic("drive", 0.001, work, round_max=1)
    job.start()
    while rounds < 4:
        await asyncio.sleep(0.001)
    await job.stop()

asyncio.run(asyncio.wait_for(main(), 30))
print("went on")
"""


def test_a_log_that_takes_no_more_lines_stops_nothing():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", FULL],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert done.stdout == "went on\n"
