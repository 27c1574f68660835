"""Nobody holds many seats without paying, however many requests they send at once.

The last word has the transaction that records a booking, see `record`. But by then its seats are
held; so whoever asks for too much is refused before that, as far as this process can see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from skyhold.booking.errors import TooManyUnpaid
from skyhold.booking.models.hoard import Ceiling, Hoard
from skyhold.booking.repositories import bookings
from skyhold.kernel.batcher import Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database

# No booking is unpaid for as long: the payment window has at most half a day.
UNPAID_MAX = timedelta(days=1)


class Hoarding:
    """Refuses a booking that would be one too many, before its seats are held.

    Of a crowd that comes at once all are looked up together: a read each would take every
    connection there is.
    """

    def __init__(self, db: Database, ceiling: Ceiling, clock: Clock, *, waiting_max: int) -> None:
        self._db = db
        self._clock = clock
        self._look_up: Batcher[str, Hoard] = Batcher(
            self._look_up_all, name="hoards", waiting_max=waiting_max
        )
        self._ceiling = ceiling
        # By user and booking: its seats, of each request that is under way for it.
        self._under_way: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(
            lambda: defaultdict(list)
        )

    @contextmanager
    def begun(self, user_id: str, booking_id: str, seats: int) -> Iterator[Hoard]:
        """A booking of this user is under way; answers it together with those before it.

        Raises TooManyUnpaid when there are as many under way as could be held at all.
        """
        mine = self._under_way[user_id]
        mine[booking_id].append(seats)
        hoard = {known: max(twins) for known, twins in mine.items()}
        try:
            if not self._ceiling.admits(hoard):
                raise TooManyUnpaid
            yield hoard
        finally:
            mine[booking_id].remove(seats)
            if not mine[booking_id]:
                del mine[booking_id]
            if not mine and self._under_way.get(user_id) is mine:
                del self._under_way[user_id]

    async def check(self, user_id: str, begun: Hoard) -> None:
        """Raises TooManyUnpaid when what was begun is too much, beside what is held already."""
        held = await self._look_up.submit(user_id)
        if not self._ceiling.admits({**held, **begun}):
            raise TooManyUnpaid

    async def close(self) -> None:
        """Let everybody who waits have their answer."""
        await self._look_up.close()

    async def _look_up_all(self, user_ids: Sequence[str]) -> Sequence[Hoard]:
        since = self._clock.now() - UNPAID_MAX
        async with self._db.read() as tx:
            held = await bookings.unpaid(tx, sorted(set(user_ids)), since=since)
        return [held[user_id] for user_id in user_ids]
