"""The overview: what waits, how the last audit ended, and what the last hours brought."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest
from booking_stage import a_traveller, lost_request
from sqlalchemy import delete, insert

from skyhold.booking import broker
from skyhold.booking.auditing import terms_of
from skyhold.booking.broker import dead_letters_of
from skyhold.booking.jobs import audit as job
from skyhold.booking.jobs.audit import LOOKS_EVERY_S, RETRY_S, Audits
from skyhold.booking.models.tables import BookingLogRow
from skyhold.booking.repositories import audits, traffic
from skyhold.booking.services import overview as overview_service
from skyhold.booking.services.audit.look import Reader
from skyhold.booking.services.overview import HOURS
from skyhold.booking.settings import BookingSettings
from skyhold.contracts.queues import TOPOLOGY
from skyhold.flight.models.tables import SeatClaimRow
from skyhold.kernel.db import DatabaseBusy
from skyhold.kernel.ids import new_id
from skyhold.kernel.messaging.from_settings import rabbit_bus

AN_HOUR = timedelta(hours=1)
SETTINGS_OF_A_BROKER = {"amqp_url": "amqp://nobody:nothing@localhost:1/"}


@pytest.fixture
async def system(start):
    async with start() as system:
        yield system


@pytest.fixture
async def alice(system):
    return await a_traveller(system, "Alice")


@pytest.fixture
async def flight(system):
    return await system.a_flight()


async def overview(system):
    """What staff see; they log in anew each day."""
    reply = await system.bookings_http.get("/api/v1/desk/overview", headers=system.staff())
    assert reply.status_code == 200, reply.text
    return reply.json()


def queue(seen, kind, status):
    (found,) = [q for q in seen["queues"] if (q["kind"], q["status"]) == (kind, status)]
    return found["due"], found["overdue"]


# --- what waits ----------------------------------------------------------------------------------


async def test_a_quiet_service_has_nothing_that_waits(system):
    seen = await overview(system)
    assert {(q["due"], q["overdue"]) for q in seen["queues"]} == {(0, 0)}
    assert seen["events"] == {"unpublished": 0, "oldest_age_s": 0}
    assert {state["bookings"] for state in seen["states"]} == {0}
    assert seen["last_audit"] is None


async def test_what_nobody_took_up_for_a_minute_is_overdue(system, alice, flight):
    booking = await alice.book(flight)
    assert queue(await overview(system), "booking", "held") == (0, 0)
    deadline = datetime.fromisoformat(booking["payment_required_by"])
    system.advance(seconds=(deadline - system.now()).total_seconds() + 5)
    assert queue(await overview(system), "booking", "held") == (1, 0)
    system.advance(seconds=60)
    assert queue(await overview(system), "booking", "held") == (1, 1)


async def test_events_wait_until_the_relay_has_told_them(system, alice, flight):
    await alice.book(flight)
    system.advance(seconds=30)
    events = (await overview(system))["events"]
    assert events["unpublished"] == 1
    assert 30 <= events["oldest_age_s"] < 90


async def test_without_a_broker_nobody_can_have_dead_letters_and_it_says_why(system):
    seen = await overview(system)
    assert seen["dead_letters"] is None
    assert "no broker" in seen["dead_letters_unknown"]


async def test_a_broker_that_does_not_answer_is_said_and_holds_nothing_up(system, monkeypatch):
    settings = BookingSettings(_env_file=None, **SETTINGS_OF_A_BROKER)
    bus = rabbit_bus(settings, source="booking", topology=TOPOLOGY)
    asked = dead_letters_of(bus)
    assert await asked() == "The broker did not answer."

    async def silent():
        await asyncio.Event().wait()

    monkeypatch.setattr(bus, "dead_letters", silent)
    monkeypatch.setattr(broker, "BROKER_MAX_S", 0.05)
    assert await asked() == "The broker did not answer."

    async def some():
        return {"notifications": 3}

    monkeypatch.setattr(bus, "dead_letters", some)
    monkeypatch.setattr(system.bookings.overview, "_dead_letters", asked)
    monkeypatch.setattr(broker, "BROKER_MAX_S", 60)
    seen = await overview(system)
    assert seen["dead_letters"] == [{"queue": "notifications", "messages": 3}]
    assert seen["dead_letters_unknown"] is None


# --- the last hours ------------------------------------------------------------------------------


async def test_hours_tell_what_was_done_in_them(system, alice, flight):
    paid, cancelled = await alice.book(flight), await alice.book(flight)
    await alice.pay(paid)
    await alice.cancel(cancelled)
    seen = await overview(system)
    assert len(seen["hours"]) == HOURS
    begins = [datetime.fromisoformat(hour["begins_at"]) for hour in seen["hours"]]
    assert {later - earlier for earlier, later in itertools.pairwise(begins)} == {AN_HOUR}
    assert begins[-1] <= datetime.fromisoformat(seen["at"]) < begins[-1] + AN_HOUR
    done = ("created", "confirmed", "expired", "cancelled")
    total = {name: sum(hour[name] for hour in seen["hours"][-2:]) for name in done}
    assert total == {"created": 2, "confirmed": 1, "expired": 0, "cancelled": 1}


async def test_an_hour_stays_what_it_was_until_it_is_too_old(system, alice, flight):
    await alice.book(flight)
    for hours, created in ((3, 1), (HOURS - 5, 1), (3, 0)):
        system.advance(minutes=60 * hours)
        seen = await overview(system)
        assert sum(hour["created"] for hour in seen["hours"]) == created, hours


async def test_what_expired_is_told_in_the_hour_in_which_it_did(system, alice, flight):
    await alice.book(flight)
    system.advance(minutes=60 * 5)
    await system.bookings.drive.run_once()
    hours = (await overview(system))["hours"]
    assert sum(hour["created"] for hour in hours[:-4]) == 1
    assert sum(hour["expired"] for hour in hours[-2:]) == 1


async def test_hours_that_are_over_are_counted_once(system, alice, flight, monkeypatch):
    await alice.book(flight)
    counted, done = [], traffic.done

    async def counts(tx, actions, since, until):
        counted.append(since)
        return await done(tx, actions, since, until)

    monkeypatch.setattr(traffic, "done", counts)
    await overview(system)
    assert len(counted) == HOURS
    counted.clear()
    system.advance(minutes=60)
    seen = await overview(system)
    assert len(counted) <= 3, "the present hour, the last one, and perhaps the one before"
    assert sum(hour["created"] for hour in seen["hours"]) == 1


async def test_an_hour_that_is_not_over_or_only_just_is_counted_anew(system, alice, flight):
    late = []
    for minute in (30, 59):
        system.advance(seconds=(minute - system.now().minute) % 60 * 60)
        await overview(system)
        late.append(await alice.book(flight))
    assert sum(hour["created"] for hour in (await overview(system))["hours"]) == 2
    system.advance(minutes=5)  # the hour is over; another process may still be in it
    await overview(system)
    earlier = datetime.fromisoformat(late[1]["created_at"])
    await system.bookings.db.transact(
        lambda tx: tx.run(
            insert(BookingLogRow).values(
                id=new_id(),
                booking_id=late[1]["id"],
                at=earlier,
                action="confirmed",
                actor="system",
                status_after="confirmed",
            )
        )
    )
    assert sum(hour["confirmed"] for hour in (await overview(system))["hours"]) == 1


async def test_states_are_of_the_bookings_of_these_hours(system, alice, flight):
    await alice.book(flight)
    system.advance(minutes=60 * 50)
    bob = await a_traveller(system, "Bob")
    await bob.pay(await bob.book(flight))
    await bob.book(flight)
    states = {s["status"]: s["bookings"] for s in (await overview(system))["states"]}
    assert states == {"held": 1, "paying": 0, "confirmed": 1, "expired": 0, "cancelled": 0}


async def test_states_are_of_so_many_bookings_at_most(system, alice, flight, monkeypatch):
    for _ in range(3):
        await alice.book(flight)
    monkeypatch.setattr(overview_service, "ROWS_MAX", 2)
    states = (await overview(system))["states"]
    assert sum(state["bookings"] for state in states) == 2


# --- the last audit ------------------------------------------------------------------------------


@pytest.fixture
async def process(system, monkeypatch):
    """The audit's job, in a process of its own; it is over in a round, however busy we are."""
    monkeypatch.setattr(job, "ROUND_S", 30)
    monkeypatch.setattr("skyhold.booking.services.audit.look.PAUSES_S", ())
    service, began = system.bookings, system.clock.now()

    def passed_s():
        return (system.clock.now() - began).total_seconds()

    audits = Audits(
        service.db,
        service.auditing.auditor,
        system.clock,
        terms_of(service.settings),
        period_s=3_600,
        since_s=86_400,
        monotonic=passed_s,
    )
    await audits.run_once()
    yield audits
    await audits.close()


async def test_the_last_audit_tells_when_and_how_it_ended(system, process, alice, flight):
    await alice.pay(await alice.book(flight))
    system.advance(seconds=LOOKS_EVERY_S)
    await process.run_once()
    told = (await overview(system))["last_audit"]
    ended = datetime.fromisoformat(told["ended_at"])
    assert abs((ended - system.now()).total_seconds()) < 60
    assert (told["outcome"], told["found"], told["not_compared"]) == ("compared", {}, [])
    assert (told["bookings"], told["holds"], told["payments"]) == (1, 1, 1)


async def test_what_it_found_is_told_by_kind(system, process, alice, flight):
    await alice.pay(await alice.book(flight))
    await system.flights.db.transact(lambda tx: tx.run(delete(SeatClaimRow)))
    system.advance(seconds=LOOKS_EVERY_S)
    await process.run_once()
    told = (await overview(system))["last_audit"]
    assert (told["outcome"], told["found"]) == ("compared", {"claims_missing": 1})


async def test_one_that_somebody_did_not_answer_says_what_is_left_out(system, process, world):
    world.on("GET .*", lost_request)
    system.advance(seconds=LOOKS_EVERY_S)
    await process.run_once()
    told = (await overview(system))["last_audit"]
    assert told["outcome"] == "not_compared"
    assert told["not_compared"]


async def test_one_that_failed_is_told_until_the_next_one(system, process, monkeypatch):
    async def broken(*_):
        msg = "a defect"
        raise ValueError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "_page", broken)
        system.advance(seconds=LOOKS_EVERY_S)
        with pytest.raises(ValueError, match="a defect"):
            await process.run_once()
    assert (await overview(system))["last_audit"]["outcome"] == "failed"
    system.advance(seconds=RETRY_S)
    await process.run_once()
    assert (await overview(system))["last_audit"]["outcome"] == "compared"


async def test_an_audit_that_cannot_be_remembered_is_an_audit_all_the_same(
    system, process, monkeypatch
):
    async def no_more_room(*_):
        raise DatabaseBusy

    monkeypatch.setattr(audits, "add", no_more_room)
    system.advance(seconds=LOOKS_EVERY_S)
    assert await process.run_once() == 0
    assert process._last is not None
    assert (await overview(system))["last_audit"] is None
