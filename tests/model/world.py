"""What the model keeps: one small, hashable picture of both services, the provider and the wire.

Names and bounds that every scenario shares stand here as well. Nothing here decides anything.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

# Holds and bookings share their ids. Alice's two are those of her idempotency key, attempts 0 and
# 1; Bob books without a key; the rival is any other buyer, seen only by the flight service.
A0, A1, BOB, RIVAL = range(4)
WHOSE = ("Alice's", "Alice's second", "Bob's", "the rival's")
KEYED = (A0, A1)

# Three seats. Alice and the rival want two each and have one in common, Bob wants that one. Under
# her key Alice's page may send another request by mistake: the body "y".
SEATS = 3
WANTS = {
    (A0, "x"): frozenset({0, 1}),
    (A1, "x"): frozenset({0, 1}),
    (A0, "y"): frozenset({0}),
    (A1, "y"): frozenset({0}),
    (BOB, "x"): frozenset({1}),
    (RIVAL, "x"): frozenset({1, 2}),
}

# The waits of the protocol, in the model's units: a hold outlives what was promised by GRACE.
WINDOW, GRACE, GIVE_UP_AFTER = 2, 1, 1
TTL = WINDOW + GRACE
NEVER = 99  # every deadline, in a scenario that trusts no clock: there a timer fires when it likes

# What was asked of another party, (what, subject, ...), and what it answered, (what, subject, ...,
# answer).
Call: TypeAlias = tuple[Any, ...]
Answer: TypeAlias = tuple[Any, ...]


class Hold(NamedTuple):
    """A row of `holds`. `body` stands for the request's digest: None for a tombstone."""

    status: str
    body: str | None
    ends: int


class Booking(NamedTuple):
    """A row of `bookings`."""

    status: str
    body: str
    deadline: int
    active: int | None
    hold_open: bool


class Payment(NamedTuple):
    """A row of `payments`: one attempt to pay for the booking `of`."""

    status: str
    of: int


class World(NamedTuple):
    """Everything that is so at one moment."""

    now: int
    # The flight service: "goes" or "cancelled"; holds by id; by seat, whose it is.
    flight: str
    holds: tuple[Hold | None, ...]
    claims: tuple[int | None, ...]
    # The booking service. `bob` is where the one process stands that serves Bob's request.
    bookings: tuple[Booking | None, ...]
    payments: tuple[Payment | None, ...]
    bob: str  # idle, asking, recording, letting_go, gone
    # What it knows of the flight's cancellation: None, "due", "looked" (nobody is left to tell) or
    # "done"; and a record in an open transaction that began before it knew.
    news: str | None
    blind: tuple[int, Booking] | None
    # The provider, by payment: None for one that it has never heard of.
    provider: tuple[str | None, ...]
    # The wire. What was asked once may arrive at any time, any number of times, or never; what was
    # answered once may be acted upon at any time, by any number of drivers, or never.
    asked: frozenset[Call]
    heard: frozenset[Answer]
    # No part of the system, only what laws look at: ids that were answered to have ended.
    given_back: frozenset[int]


def nothing_yet(payments: int) -> World:
    """Nobody has asked for anything."""
    return World(
        now=0,
        flight="goes",
        holds=(None,) * len(WHOSE),
        claims=(None,) * SEATS,
        bookings=(None,) * len(WHOSE),
        payments=(None,) * payments,
        bob="idle",
        news=None,
        blind=None,
        provider=(None,) * payments,
        asked=frozenset(),
        heard=frozenset(),
        given_back=frozenset(),
    )


def changed(row: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    """The same row with one place changed."""
    return (*row[:at], value, *row[at + 1 :])


def booking_of_key(world: World) -> int | None:
    """The id of the booking that stands under Alice's key."""
    return next((id for id in KEYED if world.bookings[id] is not None), None)
