"""The bus between processes, against RabbitMQ itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from datetime import UTC, datetime

import aio_pika
import pytest
from sqlalchemy import Column, Integer, Table, insert, select

from skyhold.kernel.columns import Key, metadata
from skyhold.kernel.db import Database
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.inbox import Inbox, inbox_table
from skyhold.kernel.messaging import Event, Subscription, hands, leaving, rabbit
from skyhold.kernel.messaging.cloudevents import CONTENT_TYPE, from_bytes
from skyhold.kernel.messaging.plan import DEAD, EVENTS
from skyhold.kernel.messaging.rabbit import RabbitBus
from support.cut import Cut
from support.servers import rabbitmq_url

BOOKINGS = Subscription("bookings", ("booking.*", "payment.#"))
FLIGHTS = Subscription("flights", ("flight.*",))
LIMIT = 3
SOON_S = 10
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def an_event(id: str, kind: str = "booking.held", subject: str = "b1", sequence: int = 1) -> Event:
    return Event(id, kind, subject, sequence, {"id": id}, NOW, source="/skyhold/test")


async def until(true) -> None:
    """For what nobody tells of: a broker's counts, a connection's state."""
    async with asyncio.timeout(SOON_S):
        while not await true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


class Desk:
    """A person at the broker: looks into queues, puts things there, and tidies up."""

    def __init__(self, channel, prefix: str) -> None:
        self.channel, self.prefix = channel, prefix

    async def wait(self, name: str, number: int) -> None:
        """Until so many messages wait in a queue, in nobody's hands."""

        async def so_many():
            declared = await self.channel.declare_queue(f"{self.prefix}{name}", passive=True)
            return declared.declaration_result.message_count == number

        await until(so_many)

    async def next(self, name: str):
        """The next message of a queue, taken out of it."""
        queue = await self.channel.get_queue(f"{self.prefix}{name}", ensure=False)
        found = []

        async def comes():
            message = await queue.get(no_ack=True, fail=False)
            found.extend([] if message is None else [message])
            return found

        await until(comes)
        return found[0]

    async def put(self, body: bytes, key: str) -> None:
        events = await self.channel.get_exchange(f"{self.prefix}{EVENTS}", ensure=False)
        await events.publish(aio_pika.Message(body, message_id="junk"), key)

    async def tidy_up(self) -> None:
        for queue in ("bookings", "flights"):
            await self.channel.queue_delete(f"{self.prefix}{queue}")
            await self.channel.queue_delete(f"{self.prefix}{queue}.dead")
        for exchange in (EVENTS, DEAD):
            await self.channel.exchange_delete(f"{self.prefix}{exchange}")


@pytest.fixture
def broker() -> str:
    return rabbitmq_url()


@pytest.fixture
async def desk(broker):
    prefix = f"test-{os.getpid()}-{next(_numbers)}."
    connection = await aio_pika.connect(broker)
    desk = Desk(await connection.channel(), prefix)
    yield desk
    await desk.tidy_up()
    await connection.close()


@pytest.fixture
async def wire(broker):
    """A wire to the broker that can be cut."""
    cut = Cut.before(broker)
    await cut.start()
    yield cut
    await cut.close()


@pytest.fixture
async def a_bus(broker, desk, monkeypatch):
    """Open a bus; they are closed before the queues go."""
    monkeypatch.setattr(rabbit, "RECONNECT_EVERY_S", 0.05)
    monkeypatch.setattr(hands, "RETRY_FIRST_S", 0.001)
    async with contextlib.AsyncExitStack() as opened:

        async def start(*handlers, at: str = broker, connects: bool = True, **more) -> RabbitBus:
            bus = RabbitBus(
                at,
                source="/skyhold/test",
                topology=[BOOKINGS, FLIGHTS],
                delivery_limit=LIMIT,
                prefix=desk.prefix,
                **{"publish_timeout_s": SOON_S} | more,
            )
            for subscription, handler in handlers:
                bus.subscribe(subscription, handler)
            opened.push_async_callback(bus.close)
            await bus.start()
            assert bus.connected is connects
            return bus

        yield start


class Handler:
    """Takes events, as far as it is well; what it took can be waited for."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.tried = 0
        self.ill = False
        self.gate: asyncio.Event | None = None
        self._moved = asyncio.Condition()

    async def __call__(self, event: Event) -> None:
        self.tried += 1
        await self._tell()
        if self.gate is not None:
            await self.gate.wait()
        if self.ill:
            raise LookupError(event.id)
        self.taken.append(event.id)
        await self._tell()

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def until(self, true) -> None:
        async with asyncio.timeout(SOON_S), self._moved:
            await self._moved.wait_for(true)

    async def takes(self, number: int) -> list[str]:
        await self.until(lambda: len(self.taken) >= number)
        return self.taken


@pytest.fixture
def handler() -> Handler:
    return Handler()


async def connected(bus: RabbitBus, *, is_it: bool = True) -> None:
    """Until the bus has found its broker, or has seen that it is gone."""

    async def so():
        return bus.connected is is_it

    await until(so)


# --- there and back ----------------------------------------------------------------------------


async def test_an_event_arrives_as_it_was_published(a_bus):
    heard = asyncio.Queue()
    bus = await a_bus((BOOKINGS, heard.put))
    assert await bus.publish(an_event("e1", sequence=2**40))
    async with asyncio.timeout(SOON_S):
        assert await heard.get() == an_event("e1", sequence=2**40)


async def test_a_message_is_persistent_and_says_what_it_is(a_bus, desk):
    bus = await a_bus()
    assert await bus.publish(an_event("e1"))
    message = await desk.next("bookings")
    assert message.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert (message.message_id, message.type, message.routing_key, message.content_type) == (
        "e1",
        "booking.held",
        "booking.held",
        CONTENT_TYPE,
    )
    assert message.app_id == "/skyhold/test"


async def test_an_event_that_does_not_say_whose_it_is_is_of_this_service(a_bus, desk):
    bus = await a_bus()
    assert await bus.publish(Event("e1", "booking.held", "b1", 1, {}, NOW))
    assert from_bytes((await desk.next("bookings")).body).source == "/skyhold/test"


async def test_an_event_finds_its_queue_before_a_reader_ever_ran(a_bus, handler):
    bus = await a_bus()
    assert await bus.publish(an_event("e1"))
    await a_bus((BOOKINGS, handler))
    assert await handler.takes(1) == ["e1"]


async def test_an_event_that_no_queue_wants_is_not_taken(a_bus, logged):
    bus = await a_bus()
    assert not await bus.publish(an_event("e1", "nobody.cares"))
    assert not await bus.publish(an_event("e2", "nobody.cares"))
    refused = [line for line in logged if line["event"] == "event.not_taken"]
    assert [(line["type"], line["error"]) for line in refused] == [("nobody.cares", "PublishError")]
    assert await bus.publish(an_event("e3"))


async def test_every_queue_gets_what_its_keys_say(a_bus, desk):
    bus = await a_bus()
    for kind in ("booking.held", "payment.refunded", "payment.by.card", "flight.cancelled"):
        assert await bus.publish(an_event("e1", kind)), kind
    assert not await bus.publish(an_event("e1", "booking.held.again"))
    await desk.wait("bookings", 3)
    await desk.wait("flights", 1)


KEYS = ("booking.held", "booking.*", "*.held", "*", "booking.#", "#", "#.again", "#.held.*", "*.#")
TYPES = ("booking", "booking.held", "booking.held.again", "again", "bookings.held", "held.it")


async def test_a_key_means_here_what_it_means_to_rabbitmq(desk):
    """So the bus inside a process hands out what this one would."""
    exchange = await desk.channel.declare_exchange(f"{desk.prefix}{EVENTS}", "topic")
    for key in KEYS:
        queue = await desk.channel.declare_queue(exclusive=True)
        await queue.bind(exchange, key)
        for kind in TYPES:
            await exchange.publish(aio_pika.Message(kind.encode()), kind, mandatory=False)
        here = {kind for kind in TYPES if Subscription("q", (key,)).wants(kind)}
        there = set()
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            there.add(message.body.decode())
        assert here == there, key
        await queue.unbind(exchange, key)


async def test_events_of_one_subject_come_in_order_while_others_overtake(a_bus, handler):
    bus = await a_bus((BOOKINGS, handler))
    handler.gate = asyncio.Event()
    for number in range(1, 6):
        assert await bus.publish(an_event(f"e{number}", sequence=number))
    assert await bus.publish(an_event("other", subject="b2"))
    await handler.until(lambda: handler.tried == 2)  # the first of each subject
    handler.gate.set()
    taken = await handler.takes(6)
    assert [id for id in taken if id != "other"] == ["e1", "e2", "e3", "e4", "e5"]


async def test_no_more_is_in_hand_than_was_asked_for(a_bus, handler, desk):
    bus = await a_bus((BOOKINGS, handler), prefetch_max=2)
    handler.gate = asyncio.Event()
    for number in range(5):
        assert await bus.publish(an_event(f"e{number}", subject=f"b{number}"))
    await handler.until(lambda: handler.tried == 2)
    await desk.wait("bookings", 3)
    handler.gate.set()
    await handler.takes(5)


# --- trouble with the connection ---------------------------------------------------------------


async def test_a_cut_connection_is_a_no_and_everything_flows_again_by_itself(
    a_bus, handler, wire, broker, logged
):
    bus = await a_bus((BOOKINGS, handler), at=wire.url(broker))
    assert await bus.publish(an_event("e1"))
    await wire.cut()
    await connected(bus, is_it=False)
    assert not await bus.publish(an_event("e2"))
    await asyncio.sleep(0.2)  # time for some vain attempts, none of which is told
    await wire.heal()
    await connected(bus)
    assert await bus.publish(an_event("e2"))
    await handler.until(lambda: handler.taken[-1] == "e2")
    assert [line["event"] for line in logged] == [
        "bus.connected",
        "bus.out_of_reach",
        "bus.connected",
    ]


async def test_what_waits_for_its_confirmation_when_the_connection_is_cut_is_a_no(
    a_bus, desk, wire, broker
):
    bus = await a_bus(at=wire.url(broker))
    wire.silence()
    publishing = [asyncio.create_task(bus.publish(an_event(f"e{n}"))) for n in range(20)]
    await desk.wait("bookings", 20)
    await wire.cut()
    async with asyncio.timeout(SOON_S / 2):  # at once, not after its time limit
        assert await asyncio.gather(*publishing) == [False] * 20
    await wire.heal()
    await connected(bus)
    assert await bus.publish(an_event("e1"))


async def test_a_confirmation_that_does_not_come_in_time_is_a_no_although_the_event_is_there(
    a_bus, desk, wire, broker, logged
):
    bus = await a_bus(at=wire.url(broker), publish_timeout_s=0.05)
    wire.silence()
    assert not await bus.publish(an_event("e1"))
    assert (await desk.next("bookings")).message_id == "e1"
    await wire.heal()
    await until(lambda: bus.publish(an_event("e1")))
    refused = [line["error"] for line in logged if line["event"] == "event.not_taken"]
    assert refused == ["TimeoutError"]


async def test_a_publisher_that_is_cancelled_is_cancelled(a_bus, desk, wire, broker):
    bus = await a_bus(at=wire.url(broker))
    wire.silence()
    publishing = asyncio.create_task(bus.publish(an_event("e1")))
    await desk.wait("bookings", 1)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing


async def test_a_bus_that_starts_before_its_broker_finds_it_later(
    a_bus, handler, wire, broker, monkeypatch, logged
):
    monkeypatch.setattr(rabbit, "RECONNECT_FIRST_S", 0.01)
    await wire.cut()
    bus = await a_bus((BOOKINGS, handler), at=wire.url(broker), connects=False)
    assert not await bus.publish(an_event("e1"))
    await wire.heal()
    await connected(bus)
    assert await bus.publish(an_event("e1"))
    assert await handler.takes(1) == ["e1"]


async def test_an_event_in_hand_when_the_connection_is_cut_comes_again(
    a_bus, handler, wire, broker, logged
):
    bus = await a_bus((BOOKINGS, handler), at=wire.url(broker))
    handler.gate = asyncio.Event()
    assert await bus.publish(an_event("e1"))
    await handler.until(lambda: handler.tried == 1)
    await wire.cut()
    await wire.heal()
    handler.gate.set()
    assert await handler.takes(2) == ["e1", "e1"]


async def test_a_queue_with_other_arguments_is_told_and_closes_nothing(
    a_bus, desk, logged, monkeypatch
):
    """As when the delivery limit is changed while the queue exists."""
    monkeypatch.setattr(rabbit, "RECONNECT_FIRST_S", 0.01)
    queue = await desk.channel.declare_queue(f"{desk.prefix}bookings", durable=True)
    bus = await a_bus(connects=False)
    assert [line["event"] for line in logged] == ["bus.out_of_reach"]
    assert "PRECONDITION_FAILED" in logged[0]["error"]
    await queue.delete()
    await connected(bus)


# --- several nodes -----------------------------------------------------------------------------


@pytest.fixture
async def two_ways(broker):
    """Two wires, and the address of a broker that has a node behind each."""
    async with contextlib.AsyncExitStack() as open_ways:
        ways = [Cut.before(broker) for _ in range(2)]
        for way in ways:
            await way.start()
            open_ways.push_async_callback(way.close)
        first, second = ways
        both = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        yield first, second, first.url(broker).replace(f"127.0.0.1:{first.port}", both)


async def test_who_loses_a_node_goes_to_the_next_one_and_back_when_that_is_lost_too(
    a_bus, handler, two_ways
):
    first, second, both = two_ways
    bus = await a_bus((BOOKINGS, handler), at=both)
    assert (first.in_use, second.in_use) == (True, False)
    for number, (lost, other) in enumerate([(first, second), (second, first)], start=1):
        await lost.cut()
        await connected(bus, is_it=False)
        await connected(bus)
        assert other.in_use
        assert await bus.publish(an_event(f"e{number}"))
        await handler.takes(number)
        await lost.heal()
        assert not lost.in_use  # nobody goes back while it is well here
    assert handler.taken == ["e1", "e2"]


async def test_who_hears_of_no_confirmation_goes_to_the_next_node(
    a_bus, handler, two_ways, monkeypatch
):
    monkeypatch.setattr(rabbit, "STOP_MAX_S", 0.1)  # nobody says farewell
    monkeypatch.setattr(leaving, "LEAVE_AFTER_S", 0.05)
    first, second, both = two_ways
    bus = await a_bus((BOOKINGS, handler), at=both, publish_timeout_s=0.1)
    first.silence()
    assert not await bus.publish(an_event("e1"))
    await until(lambda: bus.publish(an_event("e2", subject="b2")))
    assert second.in_use
    await handler.until(lambda: {"e1", "e2"} <= set(handler.taken))


async def test_who_starts_while_the_first_node_is_away_goes_to_the_next_one(
    a_bus, two_ways, monkeypatch
):
    monkeypatch.setattr(rabbit, "RECONNECT_FIRST_S", 0.01)
    first, second, both = two_ways
    await first.cut()
    bus = await a_bus(at=both, connects=False)
    await connected(bus)
    assert second.in_use
    assert await bus.publish(an_event("e1"))


# --- trouble with a handler --------------------------------------------------------------------


async def test_what_is_refused_again_and_again_goes_to_the_dead_letters(
    a_bus, handler, desk, logged
):
    bus = await a_bus((BOOKINGS, handler))
    handler.ill = True
    assert await bus.publish(an_event("e1"))
    dead = await desk.next("bookings.dead")
    assert from_bytes(dead.body) == an_event("e1")
    assert dead.headers["x-death"][0]["reason"] == "delivery_limit"
    assert handler.tried == LIMIT + 1
    await desk.wait("bookings", 0)
    assert [line["event"] for line in logged] == ["bus.connected", "event.refused", "event.dead"]


async def test_an_event_that_is_refused_for_a_while_is_handled_in_its_order(a_bus, handler, logged):
    bus = await a_bus((BOOKINGS, handler))
    handler.ill = True
    handler.gate = asyncio.Event()
    for number in (1, 2, 3):
        assert await bus.publish(an_event(f"e{number}", sequence=number))
    handler.gate.set()
    await handler.until(lambda: handler.tried >= 2)
    handler.ill = False
    assert await handler.takes(3) == ["e1", "e2", "e3"]


async def test_dead_letters_are_counted_by_the_queue_that_gave_them_up(
    a_bus, handler, desk, wire, broker
):
    bus = await a_bus((BOOKINGS, handler), at=wire.url(broker))
    assert await bus.dead_letters() == {"bookings": 0, "flights": 0}
    for _ in range(2):
        await desk.put(b"junk", "booking.held")
    await desk.wait("bookings.dead", 2)
    assert await bus.dead_letters() == {"bookings": 2, "flights": 0}
    await wire.cut()

    async def lost():
        return not bus.connected

    await until(lost)
    with pytest.raises(Unavailable):
        await bus.dead_letters()


@pytest.mark.parametrize("body", [b"junk", b'{"specversion": "1.0"}'])
async def test_what_is_no_event_goes_to_the_dead_letters_at_once(
    a_bus, handler, desk, logged, body
):
    await a_bus((BOOKINGS, handler))
    await desk.put(body, "booking.held")
    dead = await desk.next("bookings.dead")
    assert (dead.body, dead.headers["x-death"][0]["reason"]) == (body, "rejected")
    assert handler.tried == 0
    assert [(line["event"], line.get("id")) for line in logged] == [
        ("bus.connected", None),
        ("event.junk", "junk"),
    ]


async def test_an_event_in_hand_of_a_process_that_dies_goes_to_another(
    a_bus, handler, wire, broker
):
    dying, surviving = Handler(), handler
    dying.gate = asyncio.Event()
    publisher = await a_bus()
    await a_bus((BOOKINGS, dying), at=wire.url(broker))
    assert await publisher.publish(an_event("e1"))
    await dying.until(lambda: dying.tried == 1)
    await a_bus((BOOKINGS, surviving))
    await wire.cut()
    assert await surviving.takes(1) == ["e1"]
    dying.gate.set()


async def test_readers_of_one_queue_share_its_events(a_bus):
    one, other = Handler(), Handler()
    bus = await a_bus((BOOKINGS, one), prefetch_max=1)
    await a_bus((BOOKINGS, other), prefetch_max=1)
    one.gate = other.gate = asyncio.Event()
    ids = {f"e{number}" for number in range(10)}
    for id in sorted(ids):
        assert await bus.publish(an_event(id, subject=id))
    await one.until(lambda: one.tried == 1)
    await other.until(lambda: other.tried == 1)
    one.gate.set()

    async def all_taken():
        return {*one.taken, *other.taken} == ids

    await until(all_taken)
    assert one.taken
    assert other.taken


async def test_closing_lets_an_event_in_hand_end_and_leaves_the_others_in_the_queue(
    a_bus, handler, desk
):
    bus = await a_bus((BOOKINGS, handler))
    handler.gate = asyncio.Event()
    for number in (1, 2):
        assert await bus.publish(an_event(f"e{number}"))
    await handler.until(lambda: handler.tried == 1)
    closing = asyncio.create_task(bus.close())
    await asyncio.sleep(0.01)
    handler.gate.set()
    await closing
    assert handler.taken == ["e1"]
    assert (await desk.next("bookings")).message_id == "e2"
    await desk.wait("bookings", 0)


# --- once in effect ----------------------------------------------------------------------------

METADATA = metadata()
INBOX = inbox_table(METADATA, "inbox")
EFFECTS = Table(
    "effects",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("event_id", Key(36)),
)


@pytest.fixture
async def db(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'consumer.db'}", pool_max=3)
    await database.run_sync(METADATA.create_all)
    yield database
    await database.close()


@pytest.fixture
async def two_consumers(a_bus, db, handler):
    """Two processes that read one queue, and write what they take into one database."""
    inbox = Inbox(INBOX)

    async def effect(event):
        async def once(tx):
            if await inbox.take(tx, "test", event):
                await tx.run(insert(EFFECTS).values(event_id=event.id))

        await db.transact(once)
        await handler(event)

    return [await a_bus((BOOKINGS, effect)) for _ in range(2)]


async def effects(db) -> list[str]:
    async with db.read() as tx:
        found = await tx.rows(select(EFFECTS.c.event_id).order_by(EFFECTS.c.number))
    return [row.event_id for row in found]


async def test_repeats_and_what_comes_too_late_have_no_effect(two_consumers, db, handler):
    comings = [("e2", 2), ("e2", 2), ("e1", 1), ("e2", 2), ("e3", 3), ("e2", 2), ("e3", 3)]
    for number, (id, sequence) in enumerate(comings, start=1):
        bus = two_consumers[number % 2]
        assert await bus.publish(an_event(id, sequence=sequence))
        await handler.takes(number)
    assert await effects(db) == ["e2", "e3"]


async def test_an_event_that_comes_many_times_at_once_has_one_effect(two_consumers, db, handler):
    published = await asyncio.gather(
        *(bus.publish(an_event("e1")) for bus in two_consumers for _ in range(10))
    )
    assert all(published)
    await handler.takes(20)
    assert await effects(db) == ["e1"]
