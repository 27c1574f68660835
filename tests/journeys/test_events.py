"""Events between separate processes, over RabbitMQ: what happens in one is heard in the other."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aio_pika
import httpx
import pytest

from skyhold.contracts.queues import TOPOLOGY
from skyhold.kernel.messaging.cloudevents import from_bytes
from skyhold.kernel.messaging.plan import DEAD, EVENTS
from support.cut import Cut
from support.fleet import Fleet
from support.mailbox import letters_in
from support.servers import rabbitmq_url
from support.system import System, eventually, free_port

PATIENCE_S = 30


class Ear:
    """Hears every event on the bus, by a queue of its own."""

    def __init__(self) -> None:
        self.heard = []

    async def listen(self, channel, prefix):
        exchange = await channel.declare_exchange(f"{prefix}{EVENTS}", "topic", durable=True)
        self.queue = await channel.declare_queue(f"{prefix}ear", durable=True)
        await self.queue.bind(exchange, "#")
        self.tag = await self.queue.consume(self._hear)

    async def close(self):
        await self.queue.cancel(self.tag)

    async def _hear(self, message):
        async with message.process():
            self.heard.append(from_bytes(message.body))

    def of(self, booking):
        """The types of the events of a booking, in their sequence, repeats left out."""
        seen = {event.sequence: event.type for event in self.heard if event.subject == booking}
        return [seen[number] for number in sorted(seen)]


class Apart(System):
    """Both services with their workers, each in a process of its own."""

    folder: Path
    wire: Cut
    ear: Ear

    def letters(self, booking):
        """The e-mails that a booking's owner was sent, by subject."""
        found = letters_in(self.folder / "mail")
        return [letter for letter in found if booking["record_locator"] in letter["subject"]]

    def sent(self):
        """What the workers' logs say of e-mails that went out, one entry an e-mail."""
        lines = (self.folder / "worker.log").read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if line["event"] == "mail.sent"]


@pytest.fixture
async def broker():
    """RabbitMQ, with names of this test's own that are gone afterwards."""
    prefix = f"test-{uuid4().hex[:8]}."
    connection = await aio_pika.connect(rabbitmq_url())
    async with connection:
        channel = await connection.channel()
        yield channel, prefix
        queues = [queue for s in TOPOLOGY for queue in (s.queue, f"{s.queue}.dead")]
        for queue in (*queues, "ear"):
            await channel.queue_delete(f"{prefix}{queue}")
        for exchange in (EVENTS, DEAD):
            await channel.exchange_delete(f"{prefix}{exchange}")


@asynccontextmanager
async def apart(folder, template, broker, **settings):
    channel, prefix = broker
    shutil.copytree(template, folder, dirs_exist_ok=True)
    ear, wire = Ear(), Cut.before(rabbitmq_url())
    await ear.listen(channel, prefix)
    await wire.start()
    ports = {name: free_port() for name in ("flight", "flight-w", "booking", "booking-w")}
    environment = {
        "flight_service": f"http://127.0.0.1:{ports['flight']}",
        "booking_service": f"http://127.0.0.1:{ports['booking']}",
        "amqp_url": wire.url(rabbitmq_url()),
        "amqp_prefix": prefix,
        "publish_timeout_s": 2,
    } | settings
    with Fleet(folder, **environment) as fleet:
        servers = [
            fleet.start("flight", "serve", "--no-jobs", port=ports["flight"]),
            fleet.start("booking", "serve", "--no-jobs", port=ports["booking"]),
            fleet.start("flight", "worker", port=ports["flight-w"]),
            fleet.start("booking", "worker", port=ports["booking-w"]),
        ]
        (folder / "worker.log").symlink_to(servers[-1].log)
        await fleet.ready(*servers)
        async with (
            httpx.AsyncClient(base_url=servers[1].url, timeout=60) as bookings,
            httpx.AsyncClient(base_url=servers[0].url, timeout=60) as flights,
        ):
            system = Apart(bookings, flights)
            system.folder, system.wire, system.ear = folder, wire, ear
            yield system
    await ear.close()
    await wire.close()


@pytest.fixture
async def system(tmp_path, template, broker):
    async with apart(tmp_path / "data", template, broker) as system:
        yield system


async def cancel_flight(system, flight):
    reply = await system.flights_http.patch(
        f"/api/v1/flights/{flight}", json={"status": "cancelled"}, headers=system.staff()
    )
    assert reply.status_code == 200


async def test_a_cancelled_flight_is_refunded_and_its_travellers_are_written_to(system):
    alice = await system.traveller("Alice")
    flight = await system.a_flight()
    booking = await alice.book(flight, party=2)
    assert (await alice.pay(booking)).status == 201
    await cancel_flight(system, flight)

    async def refunded():
        seen = await alice.get(booking)
        paid = seen["payment"]
        return seen["status"] == "cancelled" and paid["refund"] and paid["refund"]["status"]

    assert await eventually(refunded, within_s=PATIENCE_S) in {"due", "succeeded"}
    story = ["booking.held", "booking.confirmed", "booking.cancelled", "payment.refunded"]

    async def all_told():
        return system.ear.of(booking["id"]) == story

    await eventually(all_told, within_s=PATIENCE_S)

    async def three_letters():
        return len(system.letters(booking)) >= 3

    await eventually(three_letters, within_s=PATIENCE_S)
    assert {letter["to"] for letter in system.letters(booking)} == {alice.email}
    seen = await alice.get(booking)
    assert [change["kind"] for change in seen["changes"]] == ["cancelled"]


async def test_with_the_broker_gone_bookings_go_on_and_their_events_arrive_when_it_is_back(system):
    """Cut while events are on their way; counted at the end: none lost, none twice in effect."""
    alice = await system.traveller("Alice")
    flight = await system.a_flight()
    booked = []

    async def book(times):
        for _ in range(times):
            booking = await alice.book(flight)
            assert booking.status == 201
            assert (await alice.pay(booking)).status == 201
            booked.append(booking)

    await book(5)
    going_on = asyncio.create_task(book(10))
    await system.wire.cut()
    await going_on
    await book(5)
    await system.wire.heal()
    await book(5)
    await system.wire.cut()
    await system.wire.heal()

    async def all_told():
        story = ["booking.held", "booking.confirmed"]
        return all(system.ear.of(booking["id"]) == story for booking in booked)

    await eventually(all_told, within_s=PATIENCE_S)

    def written_to():
        return [line["booking_id"] for line in system.sent() if line["type"] == "booking.confirmed"]

    async def all_written_to():
        return len(written_to()) >= len(booked)

    await eventually(all_written_to, within_s=PATIENCE_S)
    assert sorted(written_to()) == sorted(booking["id"] for booking in booked)
