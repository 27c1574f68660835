"""Events on their way through a cluster, by the parts that the services use.

What happens is written to an outbox, the relay publishes it, and a reader takes it in the
transaction of its effect.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Column, Integer, Table, func, insert, select

from skyhold.contracts.queues import NOTIFICATIONS, TOPOLOGY
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.columns import Key, metadata
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.ids import new_id
from skyhold.kernel.inbox import Inbox, inbox_table
from skyhold.kernel.messaging import Event
from skyhold.kernel.messaging.rabbit import RabbitBus
from skyhold.kernel.outbox import Outbox, outbox_table
from skyhold.kernel.relay import Relay

SOURCE = "/skyhold/booking"
SUBJECTS = 40
PER_S = 200
ROUND_MAX = 500
RELAY_PERIOD_S = 0.05
METADATA = metadata()
OUTBOX = outbox_table(METADATA, "outbox")
INBOX = Inbox(inbox_table(METADATA, "inbox"))
EFFECTS = Table(  # nothing in it is unique: an effect that came twice would be seen
    "effects",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("event_id", Key(36), nullable=False),
)


class Watched(RabbitBus):
    """A bus that remembers when the broker confirmed an event."""

    def __init__(self, url: str) -> None:
        super().__init__(url, source=SOURCE, topology=TOPOLOGY)
        self.confirmed_at: list[float] = []

    async def publish(self, event: Event) -> bool:
        confirmed = await super().publish(event)
        if confirmed:
            self.confirmed_at.append(time.monotonic())
        return confirmed


@dataclass
class Story:
    """What is written, published and read, while something happens to the cluster."""

    db: Database
    bus: Watched
    written: Counter[str] = field(default_factory=Counter)  # events of each subject
    arrivals: Counter[str] = field(default_factory=Counter)  # of each event, by its id
    _outbox: Outbox = field(default_factory=lambda: Outbox(OUTBOX, SOURCE))
    _clock: SystemClock = field(default_factory=SystemClock)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self) -> None:
        """So many events a second, of many subjects, until it is over."""
        number = 0
        while not self._over.is_set():
            subject = f"booking-{number % SUBJECTS}"
            number += 1
            self.written[subject] += 1
            event = Event(
                new_id(),
                "booking.held",
                subject,
                self.written[subject],
                {"number": number},
                self._clock.now(),
            )
            await self.db.transact(lambda tx, event=event: self._outbox.add(tx, event))
            await asyncio.sleep(1 / PER_S)

    async def relay(self) -> None:
        """As the worker's job does."""
        relay = Relay(self.db, self._outbox, self.bus, self._clock, ROUND_MAX)
        while True:
            await relay.run_once()
            await asyncio.sleep(RELAY_PERIOD_S)

    async def read(self, event: Event) -> None:
        """The effect of an event, and that it was taken, in one transaction."""
        self.arrivals[event.id] += 1

        async def take(tx: Tx) -> None:
            if await INBOX.take(tx, "reader", event):
                await tx.run(insert(EFFECTS).values(event_id=event.id))

        await self.db.transact(take)

    async def ends(self, within_s: float) -> None:
        """Write no more, and wait until all is published and read, or for so long."""
        self._over.set()
        await _until(self._is_told, within_s)

    async def confirms_since(self, at: float, within_s: float) -> None:
        """Until an event is confirmed after this moment, or for so long."""

        async def so() -> bool:
            return self.bus.confirmed_at[-1] >= at

        await _until(so, within_s)

    async def _is_told(self) -> bool:
        return not (await self.unpublished()) and (
            len(self.arrivals) >= self.events
            and self.events == (await self.effects()).total() + len(await self.overtaken())
        )

    @property
    def events(self) -> int:
        return self.written.total()

    async def unpublished(self) -> int:
        waits = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.published_at.is_(None))
        async with self.db.read() as tx:
            return await tx.scalar(waits) or 0

    async def effects(self) -> Counter[str]:
        """How many effects each event had."""
        async with self.db.read() as tx:
            rows = await tx.rows(select(OUTBOX.c.id))
            effects = await tx.rows(select(EFFECTS.c.event_id))
        found = Counter({row.id: 0 for row in rows})
        found.update(row.event_id for row in effects)
        return found

    async def overtaken(self) -> set[str]:
        """Events without an effect because a newer one of their subject had its own before.

        That is as it should be: nobody is told of a hold after the confirmation.
        """
        effects = await self.effects()
        async with self.db.read() as tx:
            rows = await tx.rows(select(OUTBOX.c.id, OUTBOX.c.subject, OUTBOX.c.sequence))
        newest: dict[str, int] = {}
        for row in rows:
            if effects[row.id]:
                newest[row.subject] = max(row.sequence, newest.get(row.subject, 0))
        return {
            row.id
            for row in rows
            if not effects[row.id] and row.sequence < newest.get(row.subject, 0)
        }


async def _until(true: Callable[[], Awaitable[bool]], within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not await true():  # noqa: ASYNC110 - a broker tells when asked
                await asyncio.sleep(0.2)


async def begin(stack: AsyncExitStack, url: str, folder: Path) -> Story:
    """A story that is being told; it ends with the stack."""
    db = Database(f"sqlite:///{folder}/story.db")
    stack.push_async_callback(db.close)
    await db.run_sync(METADATA.create_all)
    story = Story(db, Watched(url))
    reader = RabbitBus(url, source="/skyhold/reader", topology=TOPOLOGY)
    reader.subscribe(NOTIFICATIONS, story.read)
    for bus in (reader, story.bus):
        stack.push_async_callback(bus.close)
        await bus.start()
        assert bus.connected, "the cluster has started, and no client gets in"
    tasks = [asyncio.create_task(story.write()), asyncio.create_task(story.relay())]

    async def stop() -> None:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [it for it in outcomes if isinstance(it, Exception)]
        if broken:
            raise ExceptionGroup("the story broke off", broken)

    stack.push_async_callback(stop)
    return story
