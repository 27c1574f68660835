"""`skyhold audit`: what it says, what it does, and what it tells a shell."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from audit_stage import NOBODYS, a_desk, seat
from structlog.testing import capture_logs
from typer.testing import CliRunner

from skyhold.booking.services.audit import look
from skyhold.cli import app, audit_commands
from support.system import SETTINGS, free_port, start, stop, wait_until_ready

QUICK = {"audit_settle_s": 0, "flight_timeout_s": 1, "flight_deadline_s": 1}


@pytest.fixture
def open_desk(tmp_path, template):
    """The desk of one test, to be closed before the command is run."""

    @asynccontextmanager
    async def open_desk():
        folder = tmp_path / "data"
        async with a_desk(folder, tmp_path / "nothing" if folder.exists() else template) as desk:
            yield desk

    (tmp_path / "nothing").mkdir()
    return open_desk


@dataclass(frozen=True)
class Done:
    """What a command said, and its status."""

    returncode: int
    stdout: str
    stderr: str
    logged: list[dict] = field(default_factory=list)


@pytest.fixture
def skyhold(tmp_path, monkeypatch):
    """Run the command beside the service, with an event loop of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audit_commands.logging, "configure", lambda _: None)

    async def skyhold(*words, says="", **settings) -> Done:
        with monkeypatch.context() as patch, capture_logs() as logged:
            for name, value in environment(tmp_path, **settings).items():
                patch.setenv(name, value)
            done = await asyncio.to_thread(CliRunner().invoke, app, words, says)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr, logged)

    return skyhold


def environment(folder, **settings) -> dict[str, str]:
    wanted = SETTINGS | QUICK | {"data_dir": folder / "data"} | settings
    return {name.upper(): str(value) for name, value in wanted.items()}


async def test_it_is_a_command_of_its_own(open_desk, tmp_path):
    async with open_desk() as desk:
        booking = await desk.cancelled()
        desk.claim(booking["id"], seat(booking))
    done = await asyncio.to_thread(
        subprocess.run,
        [Path(sys.executable).with_name("skyhold"), "audit", "--repair", "--yes", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]} | environment(tmp_path),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [next(iter(line)) for line in lines(done)] == [
        "kind",
        "summary",
        "repaired",
        "remaining",
    ]
    assert "audit.repair" in done.stderr


def lines(done) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("words", [["audit"], ["booking", "audit"]])
async def test_when_all_agree_it_says_so(open_desk, skyhold, words):
    async with open_desk() as desk:
        await desk.confirmed()
        await desk.cancelled()
        done = await skyhold(*words)
    assert done.returncode == 0, done.stderr
    assert "2 bookings with 2 holds" in done.stdout
    assert "2 of the provider's" in done.stdout
    assert "All agree." in done.stdout


async def test_a_disagreement_is_told_with_its_ids_cause_and_repair(open_desk, skyhold):
    async with open_desk() as desk:
        booking = await desk.cancelled()
        desk.claim(booking["id"], seat(booking))
        before = desk.dump()
        done = await skyhold("audit")
        assert desk.dump() == before
    assert done.returncode == 1
    for said in (
        *(
            "claims_left",
            booking["id"],
            booking["record_locator"],
            f"{desk.flight} {seat(booking)}",
        ),
        *("hold cancelled, still claimed", "cause:", "repair: let the seat claims be"),
        "`skyhold audit --repair` would repair 1; nothing was changed.",
    ):
        assert said in done.stdout


async def test_programs_get_one_object_a_line_and_the_summary_last(open_desk, skyhold):
    async with open_desk() as desk:
        booking = await desk.confirmed()
        desk.there(*desk.payments_of(booking), state="refunded")
        done = await skyhold("audit", "--json", "--since", "1d")
        payment = desk.payments_of(booking)[0]
    finding, last = lines(done)
    assert {name: finding[name] for name in ("kind", "booking_id", "payment_id", "repair")} == {
        "kind": "refunded_there",
        "booking_id": booking["id"],
        "payment_id": payment,
        "repair": "person",
    }
    assert finding["record_locator"] == booking["record_locator"]
    assert finding["repairable"] is False
    assert finding["cause"]
    assert finding["remedy"]
    assert finding["says"] == "payment captured here, refunded there"
    summary = last["summary"]
    assert summary["status"] == done.returncode == 1
    counts = {name: summary[name] for name in ("bookings", "holds", "payments", "entries")}
    assert counts == {"bookings": 1, "holds": 1, "payments": 1, "entries": 1}
    assert summary["disagreements"] == {"refunded_there": 1}
    assert (summary["moving"], summary["not_compared"]) == (0, [])


async def test_repairs_are_asked_for_and_done_only_with_a_yes(open_desk, skyhold):
    async with open_desk() as desk:
        booking = await desk.cancelled()
        desk.claim(booking["id"], seat(booking))
        before = desk.dump()
        for says in ("n\n", "\n", ""):
            done = await skyhold("audit", "--repair", says=says)
            assert done.returncode == 1
            assert "Carry out 1 repairs" in done.stderr
            assert desk.dump() == before
        done = await skyhold("audit", "--repair", says="y\n")
        assert done.returncode == 0, done.stderr
        assert desk.claims(booking["id"]) == []
    assert f"mend_claims  {booking['record_locator']}  done" in done.stdout
    assert "Nothing remains." in done.stdout
    assert [line["outcome"] for line in done.logged if line["event"] == "audit.repair"] == ["done"]
    assert (await skyhold("audit")).returncode == 0


async def test_a_script_says_yes_beforehand_and_hears_what_remains(open_desk, skyhold):
    async with open_desk() as desk:
        booking = await desk.cancelled()
        desk.claim(booking["id"], seat(booking))
        sold = await desk.confirmed(seats=["9A"])
        desk.lose_hold(sold)
        await desk.confirmed(seats=["9A"])
        done = await skyhold("audit", "--repair", "--yes", "--json")
    assert done.returncode == 1
    told = {line["kind"]: line for line in lines(done) if "repaired" in line}
    assert told["claims_left"]["repaired"] == "done"
    assert told["hold_missing"]["repaired"] == "not possible"
    assert "9A" in told["hold_missing"]["why"]
    assert lines(done)[-1] == {"remaining": {"hold_missing": 1}}


async def test_what_the_driver_has_to_do_is_only_made_due(open_desk, skyhold):
    async with open_desk() as desk:
        booking = await desk.cancelled()
        desk.hold(booking, "confirmed")
        desk.claim(booking["id"], seat(booking))
        assert (await skyhold("audit", "--repair", "--yes")).returncode == 0
        assert desk.claims(booking["id"]) == [seat(booking)]
        assert (await skyhold("audit")).returncode == 0, "it is on its way"
        await desk.works()
        assert desk.claims(booking["id"]) == []
        assert (await skyhold("audit")).returncode == 0


async def test_payments_are_compared_as_far_back_as_asked(open_desk, skyhold):
    async with open_desk() as desk:
        booking = await desk.confirmed()
        (payment,) = desk.payments_of(booking)
        desk.payment(payment, created_at="2020-01-01 00:00:00.000000")
        desk.there(payment, created_at="2020-01-01 00:00:00.000000", state="refunded")
    assert (await skyhold("audit")).returncode == 0
    assert (await skyhold("audit", "--since", "9999d")).returncode == 1
    done = await skyhold("audit", "--since", "all")
    assert (done.returncode, "begun ever" in done.stdout) == (1, True)
    assert (await skyhold("audit", audit_since_s=10**9)).returncode == 1


@pytest.mark.parametrize("since", ["", "1", "d", "1w", "-1d", "1.5h", "30 d"])
async def test_nonsense_about_the_time_is_refused_in_a_sentence(skyhold, since):
    done = await skyhold("audit", "--since", since)
    assert done.returncode == 2
    assert "--since should look like 30d" in done.stderr


# --- over REST ------------------------------------------------------------------------------------


@pytest.fixture
def flight_server(tmp_path):
    """`skyhold flight serve` on the desk's files, not started yet."""
    servers = []

    def serve():
        environment = {name: str(value) for name, value in SETTINGS.items()}
        environment |= {"data_dir": str(tmp_path / "data")}
        servers.append(start("flight", free_port(), tmp_path / "flight", environment))
        wait_until_ready(servers[-1])
        return servers[-1]

    yield serve
    for server in servers:
        stop(server)


async def test_the_flight_service_is_asked_where_it_is(open_desk, skyhold, flight_server, tmp_path):
    async with open_desk() as desk:
        booking = await desk.confirmed()
        desk.lose_claims(booking)
        desk.claim(NOBODYS, "9C")
    url = (await asyncio.to_thread(flight_server)).url
    (tmp_path / "booking").mkdir()
    for name in ("booking.db", "sandbox.db"):  # it has nothing of the flight service's
        with (
            closing(sqlite3.connect(tmp_path / "data" / name)) as old,
            closing(sqlite3.connect(tmp_path / "booking" / name)) as new,
        ):
            old.backup(new)
    where = {"data_dir": tmp_path / "booking", "flight_service": url}
    done = await skyhold("audit", "--json", **where)
    assert done.returncode == 1, done.stderr
    kinds = [line["kind"] for line in lines(done) if "kind" in line]
    assert sorted(kinds) == ["claims_left", "claims_missing"]
    done = await skyhold("audit", "--repair", "--yes", **where)
    assert done.returncode == 0, done.stdout
    assert (await skyhold("audit", **where)).returncode == 0


async def test_a_flight_service_that_is_not_there_is_status_2(open_desk, skyhold, monkeypatch):
    monkeypatch.setattr(look, "PAUSES_S", (0.0, 0.0))
    async with open_desk() as desk:
        await desk.confirmed()
    done = await skyhold("audit", "--json", flight_service=f"http://127.0.0.1:{free_port()}")
    (last,) = lines(done)
    assert done.returncode == last["summary"]["status"] == 2
    (why,) = last["summary"]["not_compared"]
    assert why.startswith("bookings and holds: ")


async def test_a_database_that_is_not_there_is_status_2(skyhold, tmp_path):
    (tmp_path / "file").touch()
    done = await skyhold("audit", database_url=f"sqlite:///{tmp_path}/file/all.db")
    assert done.returncode == 2
    assert done.stderr.startswith("skyhold: ")
