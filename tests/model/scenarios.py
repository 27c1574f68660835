"""The scenarios: small casts, each explored to its last state, which together cover the protocol.

What each has, and why no product of all of them is needed:

* *booking*: making a booking. Alice's page asks again and again under one key, as many times at
  once as it likes, by mistake also for something else; a rival is after one of her two seats.
* *keyless*: the same, and Bob, who books without a key: his one process may be answered late, die,
  fail to record, or not know whether it has recorded, and lets its hold go when nobody can return.
* *paying*: from a recorded booking on, with two attempts to pay for it, its owner's cancelling,
  and a rival. The provider may do whatever the port allows.
* *whole*: both halves at once: two attempts of the key, two attempts to pay, cancelling, a rival.
* *airline*: making and paying a booking while staff cancel its flight (ADR 9 and 10), and a record
  whose transaction began before that was known.
* *forgetful*: a provider that breaks its promises: it authorises what it has cancelled, and gets
  refunds back. Webhooks and the audit must put that right.
* *clock*: all clocks run alike, so that what is promised until a certain moment can be judged.

In all but the last no clock is trusted: any timer, of either service, may fire at any moment.

Two parties meet only in a seat, in a key or in a payment. The flight service decides about one hold
at a time and looks at another only where both want a seat, so one rival who wants one of two seats
stands for all others; bookings share nothing but their key, of which *booking* has two attempts;
payments share nothing but their booking, and only one is active. A third of any of them would meet
the first two in states that the second has met already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .bounds import Bounds
from .engine import Explored, Laws, explore
from .laws import WITH_A_CLOCK, WITH_A_FORGETFUL_PROVIDER, WITHOUT_A_CLOCK
from .mutations import Mutation
from .rules import Rules
from .world import A0, NEVER, Booking, Hold, World, changed, nothing_yet


@dataclass(frozen=True)
class Scenario:
    """A cast, and the laws that hold for it."""

    name: str
    bounds: Bounds
    laws: Laws[World] = WITHOUT_A_CLOCK

    def explore(self, mutation: Mutation | None = None) -> Explored:
        """All that can happen, with a mistake planted or without one."""
        return explore(Rules(replace(self.bounds, mutation=mutation)), self.laws)


def _booked(payments: int) -> World:
    """Alice's booking is recorded, its two seats are held."""
    world = nothing_yet(payments)
    return world._replace(
        holds=changed(world.holds, A0, Hold("held", "x", NEVER)),
        claims=(A0, A0, None),
        bookings=changed(world.bookings, A0, Booking("held", "x", NEVER, None, hold_open=True)),
    )


BOOKING = Scenario("booking", Bounds(nothing_yet(payments=0), bodies=("x", "y"), rival=True))
KEYLESS = Scenario(
    "keyless", Bounds(nothing_yet(payments=0)._replace(bob="asking"), bodies=("x",), rival=True)
)
PAYING = Scenario("paying", Bounds(_booked(payments=2), rival=True, owner_cancels=True))
WHOLE = Scenario(
    "whole", Bounds(nothing_yet(payments=2), bodies=("x",), rival=True, owner_cancels=True)
)
AIRLINE = Scenario("airline", Bounds(nothing_yet(payments=2), bodies=("x",), airline_cancels=True))
FORGETFUL = Scenario(
    "forgetful",
    Bounds(_booked(payments=2), owner_cancels=True, provider_forgets=True),
    WITH_A_FORGETFUL_PROVIDER,
)
CLOCK = Scenario(
    "clock",
    Bounds(
        nothing_yet(payments=1),
        bodies=("x",),
        rival=True,
        horizon=6,
        asks_until=1,
        arrives_until=2,
    ),
    WITH_A_CLOCK,
)
ALL = (BOOKING, KEYLESS, PAYING, WHOLE, AIRLINE, FORGETFUL, CLOCK)
