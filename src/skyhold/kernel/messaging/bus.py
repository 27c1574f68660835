"""The bus of events: one port, and an implementation for a single process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from skyhold.kernel.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to `subject`.

    `id` tells a repeat from a new event; `sequence` grows with every event of one subject, as its
    `source` counts them, the service that tells of it. `request_id` and `traceparent` (W3C Trace
    Context) say in the course of which request it happened.
    """

    id: str
    type: str
    subject: str
    sequence: int
    data: Mapping[str, Any]
    occurred_at: datetime
    source: str = ""
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue that outlives its readers, and the patterns of event types that go into it.

    In a pattern `*` stands for one word and `#` for any number of them: `booking.*`.
    """

    queue: str
    keys: tuple[str, ...]


Subscriber = Callable[[Event], Awaitable[None]]


class Bus(Protocol):
    """Publishes events."""

    async def publish(self, event: Event) -> bool:
        """True once the event is safe with the bus; False or an exception means: try again."""
        ...


class MemoryBus:
    """Hands every event to the subscribers inside this process, at least once.

    A subscriber that fails keeps the event unpublished, so it comes again, to all of them.
    """

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every event from now on."""
        self._subscribers.append(subscriber)

    async def publish(self, event: Event) -> bool:
        """Hand the event to every subscriber; True when all of them took it."""
        try:
            for subscriber in self._subscribers:
                await subscriber(event)
        except Exception:
            log.exception("event.refused", id=event.id, type=event.type)
            return False
        return True


async def log_event(event: Event) -> None:
    """The simplest subscriber: one log line an event."""
    log.info(
        "event.published",
        id=event.id,
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
    )
