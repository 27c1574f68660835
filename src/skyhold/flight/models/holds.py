"""Holds: their states, what may be asked of them, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from skyhold.contracts.holds import HeldSegment, HoldStatus, HoldWanted
from skyhold.kernel.money import Money

# From where a hold may go. `expired` and `released` are final, as is `cancelled`.
NEXT: Mapping[HoldStatus, frozenset[HoldStatus]] = {
    HoldStatus.HELD: frozenset({HoldStatus.CONFIRMED, HoldStatus.RELEASED, HoldStatus.EXPIRED}),
    HoldStatus.CONFIRMED: frozenset({HoldStatus.CANCELLED}),
    HoldStatus.RELEASED: frozenset(),
    HoldStatus.EXPIRED: frozenset(),
    HoldStatus.CANCELLED: frozenset(),
}
LIVE = frozenset({HoldStatus.HELD, HoldStatus.CONFIRMED})


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A hold as it is kept. `request_digest` is None for a tombstone."""

    id: str
    client_id: str
    request_digest: str | None
    segments: tuple[HeldSegment, ...]
    status: HoldStatus
    expires_at: datetime
    created_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up although nobody has ended it yet."""
        return self.status is HoldStatus.HELD and self.expires_at <= now

    def total(self) -> Money | None:
        """The price of all seats, None for a tombstone."""
        if not self.segments:
            return None
        fares = [(segment.fare.money(), len(segment.seats)) for segment in self.segments]
        return Money(sum(fare.minor * seats for fare, seats in fares), fares[0][0].currency)


@dataclass(frozen=True, slots=True)
class PutHold:
    """Hold these seats under this id."""

    hold_id: str
    client_id: str
    wanted: HoldWanted
    digest: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Make a hold final."""

    hold_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Release:
    """Give the seats of a hold back; `cancel` also those of a confirmed one."""

    hold_id: str
    client_id: str
    cancel: bool


@dataclass(frozen=True, slots=True)
class Expire:
    """End a hold whose time is up. The sweeper's command; it needs no client."""

    hold_id: str


Command = PutHold | Confirm | Release | Expire


@dataclass(frozen=True, slots=True)
class Decision:
    """The hold as a command left it; `created` when the command made it."""

    hold: HoldRecord
    created: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A seat that is taken, and until when if its hold is not confirmed."""

    hold_id: str
    status: HoldStatus
    expires_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Whether the seat may be sold although the sweeper has not come yet."""
        return self.status is HoldStatus.HELD and self.expires_at <= now


# A seat that is taken by a hold whose time is not up, whichever it is.
SOMEBODYS = Claim("", HoldStatus.CONFIRMED, datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Move:
    """A hold's change of state, to be written only if it is still in `old`."""

    hold_id: str
    old: HoldStatus
    new: HoldStatus
