"""Many people at once: exactly the seats there are get sold, and nobody sees anything but a no."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from skyhold.booking.models.tables import BookingRow
from skyhold.booking.models.user import Role, User
from skyhold.booking.repositories import users
from skyhold.flight.models.holds import LIVE
from skyhold.flight.models.tables import HoldRow, SeatClaimRow
from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.db import Database
from skyhold.kernel.ids import new_id
from support.databases import SERVER_ENGINES, SERVERS, at_node, databases
from support.fleet import Fleet
from support.system import JWT_SECRET, System, eventually, free_port
from support.traveller import Traveller, seats_of

BUYERS = 500
ACCOUNTS = 20
TRIES_MAX = 20
RETRIES = re.compile(r"^skyhold_db_transaction_retries_total{.*} (\S+)$", re.MULTILINE)
# A busy machine is not what these are about.
PATIENT = {"provider_timeout_s": 8, "flight_timeout_s": 8, "flight_deadline_s": 10}


async def at_once(*calls):
    return await asyncio.gather(*calls)


async def test_five_hundred_buyers_for_a_hundred_seats(system):
    flight = await system.a_flight()
    assert await system.seats_left(flight) == 100
    travellers = [await system.traveller(f"Buyer{n}") for n in range(ACCOUNTS)]

    replies = await at_once(*(travellers[n % ACCOUNTS].book(flight) for n in range(BUYERS)))

    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes == {(201, None): 100, (409, "sold_out"): 400}
    sold = [seat for reply in replies if reply.status == 201 for seat in seats_of(reply)]
    assert len(set(sold)) == 100
    assert await system.seats_left(flight) == 0
    assert set((await system.seat_states(flight)).values()) == {"held"}


async def test_fifty_buyers_for_the_same_seat(system):
    flight = await system.a_flight()
    travellers = [await system.traveller(f"Rival{n}") for n in range(10)]

    replies = await at_once(*(travellers[n % 10].book(flight, seats=["7C"]) for n in range(50)))

    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes == {(201, None): 1, (409, "seat_unavailable"): 49}
    assert await system.seats_left(flight) == 99


async def test_parties_that_overlap_get_all_their_seats_or_none(system, alice):
    flight = await system.a_flight()
    wishes = [["1A", "1C"], ["1C", "1D"], ["1D", "1F"], ["1F", "1A"]] * 5

    replies = await at_once(*(alice.book(flight, party=2, seats=seats) for seats in wishes))

    sold = [seat for reply in replies if reply.status == 201 for seat in seats_of(reply)]
    assert len(sold) == len(set(sold))
    states = await system.seat_states(flight)
    assert {seat for seat, state in states.items() if state == "held"} == set(sold)
    assert {reply.code for reply in replies if reply.status != 201} == {"seat_unavailable"}


async def test_the_same_request_twice_makes_one_booking(system, alice):
    flight = await system.a_flight()
    first = await alice.book(flight, party=2, key="once")
    second = await alice.book(flight, party=2, key="once")
    assert (first.status, second.status) == (201, 201)
    assert second["id"] == first["id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert await system.seats_left(flight) == 98

    other = await alice.book(flight, party=3, key="once")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await system.seats_left(flight) == 98


async def test_the_same_request_twenty_times_at_once_makes_one_booking(system, alice, bob):
    flight = await system.a_flight()
    replies = await at_once(*(alice.book(flight, party=2, key="click") for _ in range(20)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply["id"] for reply in replies}) == 1
    assert await system.seats_left(flight) == 98

    theirs = await bob.book(flight, key="click")
    assert theirs["id"] != replies[0]["id"]


async def test_a_hundred_payments_at_once_capture_once(system, alice):
    booking = await alice.book(await system.a_flight())
    replies = await at_once(*(alice.pay(booking) for _ in range(100)))
    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes[201, None] == 1
    assert set(outcomes) <= {(201, None), (200, None), (409, "payment_in_progress")}
    seen = await alice.get(booking)
    assert (seen["status"], seen["payment"]["status"]) == ("confirmed", "captured")


async def test_paying_at_the_deadline_either_pays_or_expires(system, alice):
    """The deadline falls among the payments: each ends paid and confirmed, or expired and free."""
    flight = await system.a_flight()
    bookings = [await alice.book(flight) for _ in range(30)]
    early, *racing, late = bookings

    def until(booking, *, left_s):
        deadline = datetime.fromisoformat(booking["payment_required_by"])
        system.advance(seconds=(deadline - system.now()).total_seconds() - left_s)

    async def pay_a_little_later(n, booking):
        await asyncio.sleep(n / 15)
        return await alice.pay(booking)

    until(early, left_s=30)
    replies = [await alice.pay(early)]
    until(racing[14], left_s=1)
    replies += await at_once(*(pay_a_little_later(*each) for each in enumerate(racing)))
    until(late, left_s=0)
    replies += [await alice.pay(late)]

    outcomes = [(reply.status, reply.code) for reply in replies]
    assert (outcomes[0], outcomes[-1]) == ((201, None), (409, "hold_expired"))
    # 202: the provider was slow just then, so that one is still being settled.
    assert set(outcomes) <= {outcomes[0], outcomes[-1], (202, None)}

    async def every_booking_rests():
        seen = [await alice.get(booking) for booking in bookings]
        return all(booking["status"] in {"confirmed", "expired"} for booking in seen)

    await eventually(every_booking_rests)
    sold = 0
    for reply, booking in zip(replies, bookings, strict=True):
        confirmed = (await alice.get(booking))["status"] == "confirmed"
        assert reply.status == 202 or confirmed == (reply.status == 201)
        sold += confirmed

    async def the_others_are_free():
        return await system.seats_left(flight) == 100 - sold

    await eventually(the_others_are_free)


# --- several processes of each service, on one database -------------------------------------------


@dataclass(frozen=True)
class Town:
    """Several processes of each service, and what their databases say."""

    engine: str
    fleet: Fleet
    systems: list[System]
    bookings: Database
    flights: Database

    async def people(self, count: int) -> list[str]:
        """So many accounts, written down without the detour over a password; their tokens."""
        now = self.systems[0].now()
        people = [
            User(
                id=new_id(),
                name=f"Buyer {nr}",
                email=f"buyer-{nr}@example.com",
                email_key=f"buyer-{nr}@example.com",
                password_hash="nobody logs in",
                role=Role.CUSTOMER,
                created_at=now,
            )
            for nr in range(count)
        ]

        async def add(tx):
            for one in people:
                await users.add(tx, one)

        await self.bookings.transact(add)
        tokens = Tokens(JWT_SECRET, access_kind(86_400), SystemClock())
        return [tokens.issue(one.id, role=one.role, sid="s1") for one in people]

    async def run_again(self) -> int:
        """How many runs of transactions the databases of all processes asked to repeat."""
        count = 0.0
        for system in self.systems:
            for http in (system.bookings_http, system.flights_http):
                said = (await http.get("/metrics")).text
                count += sum(map(float, RETRIES.findall(said)))
        return round(count)

    async def audit(self) -> str:
        """What `skyhold audit` says, to whom everything agrees."""
        done = await asyncio.to_thread(
            subprocess.run,
            [Path(sys.executable).with_name("skyhold"), "audit", "--since", "all"],
            env=os.environ | self.fleet.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip().splitlines()[-1]

    async def sold(self, flight: str) -> tuple[Counter[str], set[str], dict[str, str]]:
        """Bookings by status, which of them are alive, and whose every claimed seat is."""
        async with self.bookings.read() as tx:
            rows = await tx.rows(select(BookingRow.id, BookingRow.status))
        async with self.flights.read() as tx:
            claims = await tx.rows(
                select(SeatClaimRow.seat, SeatClaimRow.hold_id).where(
                    SeatClaimRow.flight_id == flight
                )
            )
            live = await tx.rows(select(HoldRow.id).where(HoldRow.status.in_(sorted(LIVE))))
        assert {hold.id for hold in live} == {claim.hold_id for claim in claims}
        return (
            Counter(row.status for row in rows),
            {row.id for row in rows if row.status in {"held", "confirmed"}},
            {claim.seat: claim.hold_id for claim in claims},
        )


@pytest.fixture(params=SERVER_ENGINES)
async def town(request, tmp_path):
    """Two processes of each service; where several nodes are one database, one at each of them."""
    folder = tmp_path / "town"
    folder.mkdir()
    async with AsyncExitStack() as stack:
        where = stack.enter_context(databases(request.param, folder))
        servers = []
        for node in range(max(2, len(SERVERS[request.param].nodes))):
            booking_port, flight_port = free_port(), free_port()
            ways = {
                "flight_service": f"http://127.0.0.1:{flight_port}",
                "booking_service": f"http://127.0.0.1:{booking_port}",
            }
            here = at_node(request.param, node, where)
            fleet = stack.enter_context(Fleet(folder, **ways, **here, **PATIENT))
            servers += [
                fleet.start("flight", "serve", "--migrate", port=flight_port),
                fleet.start("booking", "serve", "--migrate", port=booking_port),
            ]
        await fleet.ready(*servers)
        # A crowd in one process may be slower than the server's patience with idle connections.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits)
            )
            for server in servers
        ]
        pairs = zip(clients[1::2], clients[::2], strict=True)
        systems = [System(bookings, flights) for bookings, flights in pairs]
        dbs = [Database(where[name]) for name in ("database_url", "flight_database_url")]
        for db in dbs:
            stack.push_async_callback(db.close)
        yield Town(request.param, fleet, systems, *dbs)
        for server in servers:
            assert server.process.poll() is None, server.log.read_text()


async def as_told(ask):
    """Ask again when told to, after as long as told."""
    for _ in range(TRIES_MAX):
        reply = await ask()
        if reply.status != 503:
            return reply
        await asyncio.sleep(int(reply.headers["retry-after"]))
    raise AssertionError(reply.body)


async def test_five_hundred_people_and_two_processes_of_each_service_sell_a_hundred_seats(
    town, record_property
):
    """Half of those who get a seat also pay, at another process; and not a seat is sold twice."""
    flight = await town.systems[0].a_flight()
    tokens = await town.people(BUYERS)

    waits_s = []

    async def buy(nr, token):
        doors = [
            Traveller(town.systems[at % len(town.systems)].bookings_http, token, "")
            for at in (nr, nr + 1)
        ]
        begun = time.monotonic()
        booking = await as_told(lambda: doors[0].book(flight, key="once"))
        waits_s.append(time.monotonic() - begun)
        if booking.status != 201 or nr % 4 < 2:
            return booking, None
        return booking, await as_told(lambda: doors[1].pay(booking))

    outcomes = await at_once(*(buy(*each) for each in enumerate(tokens)))

    booked = Counter((booking.status, booking.code) for booking, _ in outcomes)
    assert booked == {(201, None): 100, (409, "sold_out"): 400}
    payments = [payment for _, payment in outcomes if payment is not None]
    assert {(payment.status, payment.code) for payment in payments} == {(201, None)}

    statuses, alive, claims = await town.sold(flight)
    assert statuses == {"confirmed": len(payments), "held": 100 - len(payments)}
    assert len(claims) == 100
    assert set(claims.values()) == alive == {b["id"] for b, _ in outcomes if b.status == 201}
    for system in town.systems:
        assert await system.seats_left(flight) == 0
    record_property("sold", booked[201, None])
    record_property("refused", booked[409, "sold_out"])
    record_property("longest wait", f"{max(waits_s):.1f} s")
    record_property("transactions run again", await town.run_again())
    if town.engine == "galera":  # which has the time for it
        record_property("audit", await town.audit())
