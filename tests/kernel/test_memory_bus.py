"""The bus inside one process."""

from __future__ import annotations

import pytest

from skyhold.kernel.messaging import Event, MemoryBus, log_event


@pytest.fixture
def event(clock) -> Event:
    return Event("e1", "it.happened", "s1", 1, {"token": "tok_visa"}, clock.now())


class Listener:
    """Takes events, except while it is ill."""

    def __init__(self, *, ill: bool = False) -> None:
        self.ill = ill
        self.heard: list[str] = []

    async def __call__(self, event: Event) -> None:
        if self.ill:
            raise ConnectionError
        self.heard.append(event.id)


async def test_every_subscriber_hears_every_event(event):
    bus, one, other = MemoryBus(), Listener(), Listener()
    assert await bus.publish(event)  # nobody listens: nobody can refuse
    bus.subscribe(one)
    bus.subscribe(other)
    assert await bus.publish(event)
    assert (one.heard, other.heard) == (["e1"], ["e1"])


async def test_an_event_that_one_subscriber_refuses_comes_again_to_all(event, logged):
    bus, well, ill = MemoryBus(), Listener(), Listener(ill=True)
    bus.subscribe(well)
    bus.subscribe(ill)
    assert not await bus.publish(event)
    assert [line["event"] for line in logged] == ["event.refused"]
    ill.ill = False
    assert await bus.publish(event)
    assert (well.heard, ill.heard) == (["e1", "e1"], ["e1"])


async def test_a_logged_event_is_one_line_without_its_data(event, logged):
    bus = MemoryBus()
    bus.subscribe(log_event)
    assert await bus.publish(event)
    assert logged == [
        {
            "event": "event.published",
            "log_level": "info",
            "id": "e1",
            "type": "it.happened",
            "subject": "s1",
            "sequence": 1,
        }
    ]
