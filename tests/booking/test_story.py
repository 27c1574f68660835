"""`skyhold booking show`: all that is known of one booking, in the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from booking_stage import look, lost_request
from rich.console import Console

from skyhold.booking.errors import BookingNotFound
from skyhold.cli.stories import show
from support.system import SETTINGS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shown(system, which):
    """What the terminal says, its lines."""
    out = io.StringIO()
    show(await system.bookings.stories.tell(which), Console(file=out, width=300))
    return out.getvalue()


async def a_story(alice, flight):
    booking = await alice.book(flight, seats=["7C"], key="my-key")
    await alice.pay(booking, "tok_declined")
    await alice.pay(booking)
    await alice.cancel(booking)
    return booking


async def test_it_tells_states_payments_hold_and_events(still, alice, flight):
    booking = await a_story(alice, flight)
    said = await shown(still, booking["record_locator"])
    for fact in (booking["id"], "Nr1 Tester", "129.00 USD", "my-key", flight, "7C"):
        assert fact in said
    payments = said.split("Payments")[1].split("Hold in")[0]
    assert payments.index("declined") < payments.index("refunded")
    hold = said.split("Hold in the flight service")[1].split("Events")[0]
    assert "cancelled" in hold
    events = said.split("Events")[1]
    story = ["booking.held", "payment.declined", "booking.confirmed", "booking.cancelled"]
    places = [events.index(event) for event in [*story, "payment.refunded"]]
    assert places == sorted(places)


async def test_it_tells_who_did_what_from_the_log(still, alice, flight):
    booking = await a_story(alice, flight)
    log = (await shown(still, booking["id"])).split("Log")[1]
    user = (await look(still, booking))[0].user_id
    lines = [
        ("held", f"customer {user}", "new → held"),
        ("payment_started", f"customer {user}", "held → paying"),
        ("payment_declined", "system", "paying → held", "declined"),
        ("payment_started", f"customer {user}", "held → paying", "129.00 USD"),
        ("confirmed", "system", "paying → confirmed"),
        ("cancelled", f"customer {user}", "confirmed → cancelled", "refund of 129.00 USD"),
        ("refunded", "system"),
    ]
    found = [line for line in log.splitlines() if any(f" {facts[0]} " in line for facts in lines)]
    assert len(found) == len(lines)
    for line, facts in zip(found, lines, strict=True):
        for fact in facts:
            assert fact in line


async def test_a_booking_is_found_by_its_id_and_by_its_locator_in_any_case(still, alice, flight):
    booking = await alice.book(flight)
    for which in (booking["id"], booking["id"].upper(), booking["record_locator"].lower()):
        assert (await still.bookings.stories.tell(which)).booking.id == booking["id"]


async def test_what_is_not_there_is_not_found(still):
    with pytest.raises(BookingNotFound):
        await still.bookings.stories.tell("ZZZZZZ")


async def test_a_flight_service_that_does_not_answer_hides_nothing_else(
    still, world, alice, flight
):
    booking = await alice.book(flight)
    world.on("GET hold", lost_request)
    said = await shown(still, booking["id"])
    assert "the flight service did not say" in said
    assert "booking.held" in said


async def test_a_name_is_shown_as_it_is_whatever_it_looks_like(still, alice, flight):
    who = {"given_name": "Ada[/bold]", "family_name": "[red]Lovelace"}
    body = {"segments": [{"flight_id": flight}], "passengers": [who]}
    booking = await alice.send("POST", "bookings", body)
    assert "Ada[/bold] [red]Lovelace" in await shown(still, booking["id"])


async def test_a_booking_whose_hold_is_not_there_is_told_so(still, world, alice, flight):
    booking = await alice.book(flight)
    other = await still.bookings.flights.look("018f0000-0000-7000-8000-000000000000")
    assert other is None
    assert (await still.bookings.flights.look(booking["id"])).status == "held"


async def test_the_command_shows_a_booking_of_a_running_system(start, tmp_path):
    async with start() as system:
        alice = await system.traveller("Alice")
        booking = await a_story(alice, await system.a_flight())
        told = command(tmp_path / "data", booking["record_locator"])
        assert told.returncode == 0, told.stderr
        assert booking["id"] in told.stdout
        assert "payment.refunded" in told.stdout
        unknown = command(tmp_path / "data", "ZZZZZZ")
        assert unknown.returncode == 2
        assert unknown.stderr.strip() == "skyhold: There is no booking ZZZZZZ."


def command(data_dir, which):
    settings = {name.upper(): str(value) for name, value in SETTINGS.items()}
    return subprocess.run(
        [Path(sys.executable).with_name("skyhold"), "booking", "show", which],
        env=os.environ | settings | {"DATA_DIR": str(data_dir), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
