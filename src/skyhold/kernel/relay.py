"""The relay: carries what is in the outbox to the bus.

It publishes what is unpublished and marks what the bus confirmed; dying between the two means the
event goes out twice, never not at all. Consumers tell repeats by the event's id. What the bus
refuses comes again after a pause, and holds up nothing but what follows it of the same subject.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from structlog.contextvars import bound_contextvars

from . import metrics, tracing
from .clock import Clock
from .db import Database, Tx
from .failpoints import reach
from .leases import Lease
from .logging import get_logger
from .messaging import Bus, Event
from .outbox import Outbox

log = get_logger(__name__)

REFUSED_IN_A_ROW_MAX = 8
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 60.0
DOUBLINGS_MAX = 12
RESTING_MAX = 500


@dataclass(slots=True)
class Relay:
    """Carries events from the outbox to the bus.

    Events of one subject go one after the other, those of different subjects as many at once as
    the bus has lanes for. With a `lease` only its holder publishes: two relays at once would tell
    the same twice, which is harmless and a waste.
    """

    db: Database
    outbox: Outbox
    bus: Bus
    clock: Clock
    round_max: int
    lease: Lease | None = None
    _resting: dict[str, _Rest] = field(default_factory=dict, init=False)
    _in_trouble: bool = field(default=False, init=False)
    _metrics: metrics.Published = field(init=False)

    def __post_init__(self) -> None:
        self._metrics = metrics.Published(self.outbox.source.rpartition("/")[2])

    async def run_once(self) -> int:
        """Publish at most `round_max` events; the number of those that the bus confirmed."""
        if self.lease is not None and not await self.lease.is_ours():
            return 0
        resting = self._rests()
        if len(resting) >= RESTING_MAX:
            return 0
        async with self.db.read() as tx:
            events = await self.outbox.unpublished(tx, self.round_max, but_not=resting)
        if events and not self.bus.connected:
            self._note_trouble(len(events))
            return 0
        a_round = _Round(self.bus, events)
        await a_round.run()
        return await self._settle(a_round)

    async def _settle(self, a_round: _Round) -> int:
        """Remember what became of the events of a round."""
        if not a_round.confirmed and not a_round.refused:
            return 0
        at = self.clock.now()
        for event in a_round.confirmed:
            self._resting.pop(event.subject, None)
            self._metrics.published((at - event.occurred_at).total_seconds())
        for event in a_round.refused:
            self._resting[event.subject] = self._resting.get(event.subject, _Rest(at)).longer(at)
            self._metrics.refused()
        if a_round.refused:
            self._note_trouble(len(a_round.refused))
        elif self._in_trouble and not self._resting:
            self._in_trouble = False
            log.info("events.published_again")
        if a_round.confirmed:
            await self._mark([event.id for event in a_round.confirmed], at)
        return len(a_round.confirmed)

    async def _mark(self, ids: list[str], at: datetime) -> None:
        async def mark(tx: Tx) -> None:
            await self.outbox.mark_published(tx, ids, at)
            reach("relay.in_mark")

        await self.db.transact(mark)
        reach("relay.marked")

    def _rests(self) -> list[str]:
        """The subjects whose turn has not come again yet."""
        if not self._resting:
            return []
        now = self.clock.now()
        # What was refused here another relay may have published: who is long overdue is forgotten.
        self._resting = {
            subject: rest for subject, rest in self._resting.items() if not rest.is_over(now)
        }
        return [subject for subject, rest in self._resting.items() if now < rest.until]

    def _note_trouble(self, refused: int) -> None:
        """Say it once, when it begins."""
        if not self._in_trouble:
            self._in_trouble = True
            log.warning("events.not_published", count=refused, connected=self.bus.connected)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A subject whose event was refused `times` in a row: the next attempt is not before `until`.

    The first one is at once, in the next round.
    """

    until: datetime
    times: int = 0

    def longer(self, now: datetime) -> _Rest:
        pause_s = PAUSE_FIRST_S * 2 ** min(self.times - 1, DOUBLINGS_MAX) if self.times else 0
        return _Rest(now + timedelta(seconds=min(PAUSE_MAX_S, pause_s)), self.times + 1)

    def is_over(self, now: datetime) -> bool:
        return now > self.until + timedelta(seconds=2 * PAUSE_MAX_S)


class _Round:
    """Publishes some events, until all are told or it looks as if the bus took none at all."""

    def __init__(self, bus: Bus, events: Iterable[Event]) -> None:
        self._bus = bus
        self._stories = deque(list(story) for _, story in groupby(events, attrgetter("subject")))
        self._refused_in_a_row = 0
        self.confirmed: list[Event] = []
        self.refused: list[Event] = []

    async def run(self) -> None:
        lanes = min(self._bus.lanes, len(self._stories))
        await asyncio.gather(*(self._tell() for _ in range(lanes)))

    async def _tell(self) -> None:
        while self._stories and self._refused_in_a_row < REFUSED_IN_A_ROW_MAX:
            await self._tell_story(self._stories.popleft())

    async def _tell_story(self, story: list[Event]) -> None:
        """What happened to one subject.

        Once the bus did not take an event, what comes after it waits too: nobody is told of a
        confirmation before the booking.
        """
        for event in story:
            if not await self._publish(event):
                self.refused.append(event)
                self._refused_in_a_row += 1
                return
            self.confirmed.append(event)
            self._refused_in_a_row = 0

    async def _publish(self, event: Event) -> bool:
        request = (
            nullcontext()
            if event.request_id is None
            else bound_contextvars(request_id=event.request_id)
        )
        with (
            request,
            tracing.continue_from(event.traceparent),
            tracing.span(f"publish {event.type}", "producer", **{"messaging.message.id": event.id}),
        ):
            try:
                reach("relay.before_publish")
                confirmed = await self._bus.publish(event)
                reach("relay.published")
            except Exception as error:  # noqa: BLE001 - it comes again, and is not told each time
                log.debug("event.not_published", id=event.id, type=event.type, error=repr(error))
                return False
            return confirmed
