"""The bus inside one process, and what goes into which queue."""

from __future__ import annotations

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from skyhold.kernel.messaging import Event, MemoryBus, Subscription


@pytest.fixture
def event(clock) -> Event:
    return Event("e1", "it.happened", "s1", 1, {"token": "tok_visa"}, clock.now())


class Listener:
    """Takes events, except while it is ill."""

    def __init__(self, *, ill: bool = False) -> None:
        self.ill = ill
        self.heard: list[str] = []
        self.in_course_of: list[str] = []

    async def __call__(self, event: Event) -> None:
        if self.ill:
            raise ConnectionError
        self.heard.append(event.id)
        self.in_course_of.append(get_contextvars()["request_id"])


def bus_with(*listeners: Listener, keys: tuple[str, ...] = ("#",)) -> MemoryBus:
    bus = MemoryBus()
    for number, listener in enumerate(listeners):
        bus.subscribe(Subscription(f"q{number}", keys), listener)
    return bus


async def test_every_handler_hears_every_event_that_its_queue_wants(event):
    one, other, neither = Listener(), Listener(), Listener()
    bus = bus_with(one, other)
    bus.subscribe(Subscription("neither", ("it", "that.*")), neither)
    assert await bus.publish(event)
    assert (one.heard, other.heard, neither.heard) == (["e1"], ["e1"], [])


async def test_an_event_that_nobody_wants_is_taken(event):
    assert await MemoryBus().publish(event)


async def test_an_event_that_one_handler_refuses_comes_again_to_all(event, logged):
    well, ill = Listener(), Listener(ill=True)
    bus = bus_with(well, ill)
    assert not await bus.publish(event)
    assert [line["event"] for line in logged] == ["event.refused"]
    ill.ill = False
    assert await bus.publish(event)
    assert (well.heard, ill.heard) == (["e1", "e1"], ["e1"])


async def test_what_ails_a_handler_is_told_once_until_it_is_well_again(event, logged):
    ill = Listener(ill=True)
    bus = bus_with(ill)
    for _ in range(3):
        assert not await bus.publish(event)
    assert [(line["queue"], type(line["exc_info"])) for line in logged] == [("q0", ConnectionError)]

    ill.ill = False
    assert await bus.publish(event)
    ill.ill = True
    assert not await bus.publish(event)
    assert len(logged) == 2


async def test_a_queue_has_one_handler():
    bus = bus_with(Listener())
    with pytest.raises(AssertionError, match="q0"):
        bus.subscribe(Subscription("q0", ("#",)), Listener())


async def test_an_event_is_handled_in_the_course_of_its_own_request(clock):
    listener = Listener()
    bus = bus_with(listener)
    event = Event("e1", "t", "s", 1, {}, clock.now(), request_id="of-the-event")
    with bound_contextvars(request_id="of-the-relay"):
        assert await bus.publish(event)
        assert get_contextvars()["request_id"] == "of-the-relay"
    assert listener.in_course_of == ["of-the-event"]


async def test_an_event_of_no_request_is_handled_in_a_new_one(event):
    listener = Listener()
    bus = bus_with(listener)
    assert await bus.publish(event)
    assert await bus.publish(event)
    first, second = listener.in_course_of
    assert first
    assert first != second


async def test_it_needs_no_start_and_is_always_within_reach():
    bus = MemoryBus()
    assert bus.connected
    await bus.start()
    await bus.close()


@pytest.mark.parametrize(
    ("key", "event_type", "wanted"),
    [
        ("booking.held", "booking.held", True),
        ("booking.held", "booking.held.again", False),
        ("booking.held", "booking", False),
        ("booking.*", "booking.held", True),
        ("booking.*", "booking", False),
        ("booking.*", "booking.held.again", False),
        ("*.held", "booking.held", True),
        ("*", "booking", True),
        ("*", "booking.held", False),
        ("booking.#", "booking", True),
        ("booking.#", "booking.held", True),
        ("booking.#", "booking.held.again", True),
        ("booking.#", "bookings.held", False),
        ("#", "booking.held", True),
        ("#.again", "booking.held.again", True),
        ("#.again", "again", True),
        ("#.held.*", "booking.held.again", True),
        ("#.held.*", "booking.held", False),
        ("*.#", "booking", True),
        ("#.#", "booking.held", True),
        ("book*", "booking", False),
        ("booking.h#", "booking.held", False),
    ],
)
def test_a_key_fits_as_amqp_says(key, event_type, wanted):
    """tests/contract/test_rabbit.py asks RabbitMQ the same."""
    assert Subscription("q", ("nothing.else", key)).wants(event_type) is wanted
