"""The bus between processes, as far as it can be seen without a broker."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from aio_pika.exceptions import DeliveryError, PublishError
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from pydantic import BaseModel
from structlog.contextvars import get_contextvars

from skyhold.contracts.events import EVENT_KINDS
from skyhold.kernel.messaging import Event, Subscription, hands, leaving, rabbit
from skyhold.kernel.messaging.addresses import hosts, split
from skyhold.kernel.messaging.asyncapi import asyncapi_document
from skyhold.kernel.messaging.cloudevents import to_bytes
from skyhold.kernel.messaging.hands import RETRY_MAX_S
from skyhold.kernel.messaging.rabbit import RabbitBus

QUEUE = Subscription("q", ("it.*", "that.#"))
OTHER = Subscription("other", ("#",))
LIMIT = 3
SOON_S = 5


def a_bus(url: str = "amqp://nobody.invalid", **more) -> RabbitBus:
    return RabbitBus(url, source="/skyhold/test", topology=[QUEUE], delivery_limit=LIMIT, **more)


@pytest.fixture
def an_event(clock):
    def make(id: str, subject: str = "s", **more) -> Event:
        return Event(id, "it.happened", subject, 1, {}, clock.now(), source="/a", **more)

    return make


@pytest.fixture
def pauses(monkeypatch):
    """The pauses before an event goes back; none of them is made."""
    made: list[float] = []
    asked = hands._pause_s

    def no_pause(deliveries):
        made.append(asked(deliveries))
        return 0

    monkeypatch.setattr(hands, "_pause_s", no_pause)
    return made


class Delivery:
    """A message in hand, and what becomes of it."""

    message_id = "m"

    def __init__(self, event: Event | bytes, *, deliveries: int = 0) -> None:
        self.body = event if isinstance(event, bytes) else to_bytes(event)
        self.headers = {"x-delivery-count": deliveries}
        self.answer: str | None = None

    async def ack(self) -> None:
        self.answer = "acked"

    async def nack(self, *, requeue: bool) -> None:
        self.answer = "sent back" if requeue else "dead"

    async def reject(self, *, requeue: bool) -> None:
        self.answer = "sent back" if requeue else "dead"


class Lost(Delivery):
    """A message whose connection is gone."""

    async def ack(self) -> None:
        raise RuntimeError("channel closed")


class Handler:
    """Handles events one step at a time, as a test lets it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.ill: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.requests: list[str] = []

    def stops_at(self, id: str) -> asyncio.Event:
        self.gates[id] = asyncio.Event()
        return self.gates[id]

    async def __call__(self, event: Event) -> None:
        self.begun.append(event.id)
        self.requests.append(get_contextvars()["request_id"])
        if event.id in self.gates:
            await self.gates[event.id].wait()
        if event.id in self.ill:
            raise LookupError(event.id)
        self.done.append(event.id)


@pytest.fixture
def handler() -> Handler:
    return Handler()


async def until(true) -> None:
    async with asyncio.timeout(SOON_S):
        while not true():  # noqa: ASYNC110 - what is waited for is inside of the bus
            await asyncio.sleep(0)


def deliver(bus: RabbitBus, handler: Handler, *deliveries: Delivery) -> asyncio.Task[object]:
    """As the client library does: each in a task of its own, begun in the order of the queue."""
    take = bus._hands.taker("q", handler)

    async def all_of_them():
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*(take(delivery) for delivery in deliveries))

    return asyncio.create_task(all_of_them())


# --- what is in hand ---------------------------------------------------------------------------


async def test_an_event_is_acknowledged_once_it_was_handled(handler, an_event):
    bus, one = a_bus(), Delivery(an_event("e1"))
    go_on = handler.stops_at("e1")
    taking = deliver(bus, handler, one)
    await until(lambda: handler.begun)
    assert one.answer is None
    go_on.set()
    await taking
    assert (one.answer, handler.done) == ("acked", ["e1"])


async def test_an_event_whose_handler_raised_is_sent_back_after_a_pause(
    handler, an_event, pauses, logged
):
    bus, handler.ill = a_bus(), {"e1"}
    answers = []
    for deliveries in range(LIMIT + 1):
        one = Delivery(an_event("e1"), deliveries=deliveries)
        await deliver(bus, handler, one)
        answers.append(one.answer)
    assert answers == ["sent back"] * (LIMIT + 1)  # the broker counts, and makes the last one dead
    assert pauses == [0.5, 1, 2]  # before the last there is nothing to wait for
    assert [line["event"] for line in logged] == ["event.refused", "event.dead"]


def test_the_pauses_are_bounded():
    assert [hands._pause_s(deliveries) for deliveries in (0, 6, 7, 5_000)] == [
        0.5,
        32,
        RETRY_MAX_S,
        RETRY_MAX_S,
    ]


async def test_a_pause_ends_when_the_bus_closes(handler, an_event, logged):
    bus, handler.ill, one = a_bus(), {"e1"}, Delivery(an_event("e1"), deliveries=2)
    taking = deliver(bus, handler, one)
    await until(lambda: handler.begun)
    assert one.answer is None
    async with asyncio.timeout(1):
        await bus.close()
    await taking
    assert one.answer == "sent back"


async def test_what_is_no_event_goes_to_the_dead_letters_at_once(handler, logged):
    bus, junk = a_bus(), Delivery(b"junk")
    await deliver(bus, handler, junk)
    assert (junk.answer, handler.begun) == ("dead", [])
    assert [(line["event"], line["queue"]) for line in logged] == [("event.junk", "q")]


async def test_events_of_one_subject_are_handled_one_after_the_other(handler, an_event):
    bus = a_bus()
    go_on = handler.stops_at("e1")
    taking = deliver(bus, handler, *(Delivery(an_event(f"e{n}")) for n in (1, 2, 3)))
    await until(lambda: handler.begun)
    for _ in range(20):
        await asyncio.sleep(0)
    assert handler.begun == ["e1"]
    go_on.set()
    await taking
    assert handler.done == ["e1", "e2", "e3"]
    assert bus._hands._lanes == {}


async def test_events_of_different_subjects_are_handled_at_once(handler, an_event):
    bus = a_bus()
    go_on = handler.stops_at("e1")
    taking = deliver(bus, handler, Delivery(an_event("e1")), Delivery(an_event("e2", "another")))
    await until(lambda: handler.done == ["e2"])
    go_on.set()
    await taking


async def test_what_follows_an_event_that_is_sent_back_goes_behind_it(
    handler, an_event, pauses, logged
):
    """Or the inbox would take it for the newer one, and the other would never have an effect."""
    bus, handler.ill = a_bus(), {"e1"}
    first, second = Delivery(an_event("e1")), Delivery(an_event("e2"))
    await deliver(bus, handler, first, second)
    assert (first.answer, second.answer, handler.begun) == ("sent back", "sent back", ["e1"])

    handler.ill = set()
    await deliver(bus, handler, Delivery(an_event("e1")), Delivery(an_event("e2")))
    assert handler.done == ["e1", "e2"]


async def test_what_follows_an_event_that_goes_to_the_dead_letters_does_not_go_with_it(
    handler, an_event, pauses, logged
):
    bus, handler.ill = a_bus(), {"e1"}
    second = Delivery(an_event("e2"), deliveries=LIMIT)
    await deliver(bus, handler, Delivery(an_event("e1"), deliveries=LIMIT), second)
    assert (second.answer, handler.done) == ("acked", ["e2"])


async def test_an_event_is_handled_in_the_course_of_its_request_or_of_a_new_one(handler, an_event):
    bus = a_bus()
    of_one = an_event("e1", request_id="r-1")
    await deliver(bus, handler, Delivery(of_one), Delivery(an_event("e2")))
    one, new = handler.requests
    assert one == "r-1"
    assert new
    assert new != one
    assert "request_id" not in get_contextvars()


async def test_an_event_that_cannot_be_acknowledged_any_more_is_no_error(handler, an_event):
    await deliver(a_bus(), handler, Lost(an_event("e1")))
    assert handler.done == ["e1"]


async def test_a_handler_goes_on_when_the_client_library_cancels_its_task(handler, an_event):
    bus, one = a_bus(), Delivery(an_event("e1"))
    go_on = handler.stops_at("e1")
    taking = deliver(bus, handler, one)
    await until(lambda: handler.begun)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    go_on.set()
    await until(lambda: one.answer == "acked")


async def test_closing_waits_for_what_is_in_hand_and_begins_nothing(handler, an_event):
    bus, one, next_one = a_bus(), Delivery(an_event("e1")), Delivery(an_event("e2"))
    go_on = handler.stops_at("e1")
    taking = deliver(bus, handler, one, next_one)
    await until(lambda: handler.begun)
    closing = asyncio.create_task(bus.close())
    late = Delivery(an_event("e3", "another"))
    await until(bus._hands.closing.is_set)
    await deliver(bus, handler, late)
    assert not closing.done()
    go_on.set()
    await closing
    await taking
    assert (one.answer, next_one.answer, late.answer) == ("acked", None, None)


async def test_closing_cuts_off_what_does_not_end(handler, an_event, monkeypatch):
    monkeypatch.setattr(hands, "CLOSE_MAX_S", 0.02)
    bus, one = a_bus(), Delivery(an_event("e1"))
    handler.stops_at("e1")
    taking = deliver(bus, handler, one)
    await until(lambda: handler.begun)
    await bus.close()
    await asyncio.gather(taking, return_exceptions=True)
    assert one.answer is None  # so it comes again


# --- no broker ---------------------------------------------------------------------------------


@pytest.fixture
def nowhere() -> str:
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"amqp://guest:s3cret@127.0.0.1:{taken.getsockname()[1]}/"


async def test_a_bus_that_was_not_started_takes_nothing(an_event):
    bus = a_bus()
    assert not bus.connected
    assert not await bus.publish(an_event("e1"))
    await bus.close()


async def test_a_confirmation_that_the_client_library_gives_up_is_a_no(an_event, monkeypatch):
    """It cancels those who wait for one when a connection has gone silent; nobody cancelled us."""

    async def given_up(*_):
        raise asyncio.CancelledError

    monkeypatch.setattr(RabbitBus, "_send", given_up)
    bus = a_bus()
    bus._broker, bus._connected = object(), True
    assert not await bus.publish(an_event("e1"))


class Leaving:
    """A broker's connection that can be left."""

    def __init__(self) -> None:
        self.left = 0

    async def leave(self) -> None:
        self.left += 1

    async def stop(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (DeliveryError(None, None), 1),  # the broker says no
        (TimeoutError(), 1),
        (PublishError.__new__(PublishError), 0),  # no queue wants it: that is the same everywhere
        (ConnectionError(), 0),  # the client library looks for another one by itself
    ],
    ids=lambda it: type(it).__name__,
)
async def test_a_connection_on_which_nothing_is_confirmed_is_left_after_a_moment(
    an_event, monkeypatch, logged, error, left
):
    async def refuse(*_):
        raise error

    monkeypatch.setattr(RabbitBus, "_send", refuse)
    monkeypatch.setattr(leaving, "LEAVE_AFTER_S", 0.02)
    bus, broker = a_bus(), Leaving()
    bus._broker, bus._connected = broker, True
    for number in range(5):  # at once, so they are one reason
        assert not await bus.publish(an_event(f"e{number}"))
    await asyncio.sleep(0.1)
    assert broker.left == left
    await bus.close()


async def test_a_connection_on_which_anything_is_confirmed_meanwhile_is_kept(
    an_event, monkeypatch, logged
):
    async def send(_, __, event):
        if event.id == "e1":
            raise DeliveryError(None, None)

    monkeypatch.setattr(RabbitBus, "_send", send)
    monkeypatch.setattr(leaving, "LEAVE_AFTER_S", 0.02)
    bus, broker = a_bus(), Leaving()
    bus._broker, bus._connected = broker, True
    assert not await bus.publish(an_event("e1"))
    assert await bus.publish(an_event("e2"))
    await asyncio.sleep(0.1)
    assert broker.left == 0
    await bus.close()


async def test_without_a_broker_it_starts_and_takes_nothing_and_tells_so_once(
    nowhere, an_event, monkeypatch, logged
):
    monkeypatch.setattr(rabbit, "RECONNECT_FIRST_S", 0.005)
    attempts, made = [], RabbitBus._make_broker
    monkeypatch.setattr(RabbitBus, "_make_broker", lambda bus: attempts.append(1) or made(bus))
    bus = a_bus(nowhere)
    async with asyncio.timeout(SOON_S):
        await bus.start()
        await bus.start()  # begun already
        await until(lambda: len(attempts) >= 4)
        assert not bus.connected
        assert not await bus.publish(an_event("e1"))
        await bus.close()
    assert [(line["log_level"], line["event"]) for line in logged] == [
        ("warning", "bus.out_of_reach")
    ]
    assert "s3cret" not in repr(logged)


def test_a_handler_needs_a_queue_that_is_declared_and_is_its_only_one():
    bus = a_bus()
    with pytest.raises(AssertionError, match="other"):
        bus.subscribe(OTHER, Handler())
    bus.subscribe(QUEUE, Handler())
    with pytest.raises(AssertionError, match="q has"):
        bus.subscribe(QUEUE, Handler())


def test_an_address_says_how_long_silence_may_last_and_who_calls():
    assert a_bus("amqp://u:p%40ss@h:5672/v")._turn.first == (
        "amqp://u:p%40ss@h:5672/v?heartbeat=10&name=skyhold-test"
    )
    assert "heartbeat=60" in a_bus("amqp://h/?heartbeat=60")._turn.first


def test_an_address_of_several_hosts_is_that_of_each_with_one_account_and_vhost():
    assert split("amqps://u:p%40ss@a:5672, b,[::1]:5673/v?heartbeat=60") == [
        "amqps://u:p%40ss@a:5672/v?heartbeat=60",
        "amqps://u:p%40ss@b/v?heartbeat=60",
        "amqps://u:p%40ss@[::1]:5673/v?heartbeat=60",
    ]
    assert hosts("amqp://u:secret@a:5672,b/v") == "a, b"


# --- the document ------------------------------------------------------------------------------


class Payload(BaseModel):
    """Something."""

    what: str


class Kind:
    def __init__(self, event_type):
        self.type, self.source, self.says, self.payload = event_type, "/a", "It did.", Payload


@pytest.fixture
def document():
    kinds = [Kind("it.happened"), Kind("elsewhere.too")]
    return json.loads(asyncapi_document(kinds, [QUEUE, OTHER], version="1.2", delivery_limit=LIMIT))


def test_the_document_names_every_type_and_every_queue_with_its_dead_letters(document):
    assert list(document["channels"]) == [
        "it.happened",
        "elsewhere.too",
        *("q", "q.dead"),
        *("other", "other.dead"),
    ]
    queue = document["channels"]["q"]
    assert list(queue["messages"]) == ["it.happened"]
    assert queue["x-routing-keys"] == ["it.*", "that.#"]
    assert queue["x-arguments"] == {
        "x-queue-type": "quorum",
        "x-delivery-limit": LIMIT,
        "x-dead-letter-exchange": "skyhold.dead",
        "x-dead-letter-routing-key": "q",
    }
    assert list(document["channels"]["other"]["messages"]) == ["it.happened", "elsewhere.too"]
    assert document["info"]["version"] == "1.2"


def test_the_document_is_the_same_every_time_and_names_no_server(document):
    again = asyncapi_document(EVENT_KINDS, [QUEUE], version="1", delivery_limit=LIMIT)
    assert again == asyncapi_document(EVENT_KINDS, [QUEUE], version="1", delivery_limit=LIMIT)
    assert "servers" not in json.loads(again)
    assert "127.0.0.1" not in again


def test_the_document_is_asyncapi_and_all_its_references_lead_somewhere():
    document = json.loads(asyncapi_document(EVENT_KINDS, [QUEUE], version="1", delivery_limit=3))
    for operation in document["operations"].values():
        # FastStream's model wants it of every operation, the standard of those that receive.
        operation["bindings"]["amqp"].setdefault("ack", True)
    ApplicationSchema.model_validate(document)

    def references(node):
        if isinstance(node, dict):
            yield from ([node["$ref"]] if "$ref" in node else [])
            node = list(node.values())
        for inner in node if isinstance(node, list) else []:
            yield from references(inner)

    found = set(references(document))
    assert len(found) > len(EVENT_KINDS)
    for reference in found:
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_the_document_describes_the_envelope_as_it_is_sent(document, clock):
    event = Event("e1", "it.happened", "s", 7, {"what": "x"}, clock.now(), source="/a")
    sent = json.loads(to_bytes(event))
    envelope = document["components"]["schemas"]["CloudEvent"]
    assert set(envelope["required"]) == sent.keys()
    message = document["components"]["messages"]["it.happened"]
    own = message["payload"]["allOf"][1]["properties"]
    assert (own["type"], own["source"]) == ({"const": sent["type"]}, {"const": sent["source"]})
    assert own["data"] == {"$ref": "#/components/schemas/Payload"}
