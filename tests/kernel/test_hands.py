"""Events in hand: of one subject none overtakes another, also while one is on its way back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from skyhold.kernel.messaging import Event, hands
from skyhold.kernel.messaging.cloudevents import to_bytes
from skyhold.kernel.messaging.hands import Hands

LIMIT = 3


class Message:
    """One delivery of an event by a broker that is in no hurry to bring back what is sent back."""

    message_id = "m"

    def __init__(self, number: int, deliveries_before: int = 0) -> None:
        at = datetime(2026, 11, 28, tzinfo=UTC)
        event = Event(f"e{number}", "booking.held", "b1", number, {}, at, source="/skyhold/test")
        self.body = to_bytes(event)
        self.headers = {"x-delivery-count": deliveries_before}
        self.answered: list[str] = []

    async def ack(self) -> None:
        self.answered.append("ack")

    async def nack(self, *, requeue: bool) -> None:
        self.answered.append(f"nack {requeue}")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(hands, "RETRY_FIRST_S", 0.0)


@pytest.fixture
def ill() -> set[str]:
    """Events that nobody can take at the moment."""
    return set()


@pytest.fixture
def taken() -> list[str]:
    return []


@pytest.fixture
def take(ill, taken):
    async def handler(event: Event) -> None:
        if event.id in ill:
            raise LookupError(event.id)
        taken.append(event.id)

    return Hands(LIMIT).taker("bookings", handler)


async def soon() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_newer_event_waits_for_an_older_one_that_was_sent_back(take, ill, taken):
    ill.add("e1")
    await take(first := Message(1))
    assert first.answered == ["nack True"]
    ill.clear()
    newer = asyncio.create_task(take(Message(2)))
    await soon()
    assert taken == []
    await take(Message(1, 1))
    await newer
    assert taken == ["e1", "e2"]


async def test_what_was_behind_an_event_that_was_sent_back_keeps_its_place(take, ill, taken):
    """All three are sent back, and come again the other way round."""
    ill.add("e1")
    messages = [Message(number) for number in (1, 2, 3)]
    await asyncio.gather(*map(take, messages))
    assert [message.answered for message in messages] == [["nack True"]] * 3
    ill.clear()
    await asyncio.gather(*(take(Message(number, 1)) for number in (3, 2, 1)))
    assert taken == ["e1", "e2", "e3"]


async def test_two_copies_of_an_event_hold_nobody_up(take, ill, taken):
    ill.add("e1")
    await asyncio.gather(take(Message(1)), take(Message(1)))
    ill.clear()
    newer = asyncio.create_task(take(Message(2)))
    await soon()
    await take(Message(1, 1))
    async with asyncio.timeout(hands.BACK_WITHIN_S / 2):
        await newer
    assert taken == ["e1", "e2"]


async def test_an_older_event_does_not_wait_for_a_newer_one(take, ill, taken):
    ill.add("e2")
    await take(Message(2))
    await take(Message(1))
    assert taken == ["e1"]


async def test_what_another_process_has_is_not_waited_for_for_ever(take, ill, taken, monkeypatch):
    monkeypatch.setattr(hands, "BACK_WITHIN_S", 0.05)
    ill.add("e1")
    await take(Message(1))
    await take(Message(2))
    assert taken == ["e2"]


async def test_what_is_given_up_is_not_waited_for(take, ill, taken):
    ill.add("e1")
    await take(Message(1, LIMIT))
    async with asyncio.timeout(hands.BACK_WITHIN_S / 2):
        await take(Message(2))
    assert taken == ["e2"]


async def test_nothing_is_remembered_once_all_is_done(ill, monkeypatch):
    monkeypatch.setattr(hands, "BACK_WITHIN_S", 0.01)
    ours = Hands(LIMIT)

    async def handler(event: Event) -> None:
        if event.id in ill:
            raise LookupError(event.id)

    ill.add("e1")
    take = ours.taker("bookings", handler)
    await take(Message(1))
    assert ours._lanes
    await asyncio.sleep(0.05)
    assert not ours._lanes
