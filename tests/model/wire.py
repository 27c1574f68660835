"""Calls to the flight service and to the provider, and their answers.

There are no driver processes in a world. A call that a driver may make is on the wire from the
moment at which it may be made, and stays there; what was answered stays as well. So at any moment
any number of drivers may stand between a call and its transaction, and all of them may die there.

calls: ("put", id, body, called at), ("let_go", id), ("release", id); of a payment ("authorise", p),
("confirm", p), ("capture", p), ("give_up", p), ("void", p), ("refund", p); and ("news", "flight").
"""

from __future__ import annotations

from collections.abc import Iterator

from . import flight_rules, provider_rules
from .booking_rules import WAITS_IN, lateness, next_step
from .bounds import Bounds
from .mutations import Mutation
from .world import (
    A0,
    A1,
    BOB,
    GIVE_UP_AFTER,
    GRACE,
    NEVER,
    TTL,
    WHOSE,
    Answer,
    Booking,
    Call,
    World,
    booking_of_key,
    changed,
)

# A driver's step, and the command that it is to the flight service.
COMMANDS = {"confirm": "confirm", "give_up": "release", "release": "cancel"}
# What the driver takes the provider's answers for. Any other tells it nothing.
MEANS = {
    ("authorise", "authorized"): "yes",
    ("authorise", "captured"): "yes",
    ("authorise", "declined"): "no",
    ("authorise", "cancelled"): "no",
    ("capture", "captured"): "yes",
    ("capture", "declined"): "no",
    ("capture", "cancelled"): "no",
    ("capture", "capture_refused"): "no",
    ("void", "captured"): "captured",
    ("void", "cancelled"): "cancelled",
    ("void", "refunded"): "cancelled",
    ("refund", "refunded"): "refunded",
}


def calls_now(bounds: Bounds, world: World) -> Iterator[Call]:
    """What the processes of the booking service may ask of others in this world."""
    yield from _alices_calls(bounds, world)
    if world.bob == "asking":
        yield "put", BOB, "x", world.now
    for id in let_go(bounds, world):
        yield "let_go", id
    for id, booking in enumerate(world.bookings):
        if booking is not None:
            yield from _driver_calls(bounds, world, id, booking)
    for p, payment in enumerate(world.payments):
        if payment is not None and payment.status in {"void_due", "refund_due"}:
            yield payment.status.removesuffix("_due"), p
    if world.flight == "cancelled" and world.news is None:
        yield "news", "flight"


def _alices_calls(bounds: Bounds, world: World) -> Iterator[Call]:
    """She asks, again and again, while no booking stands under her key."""
    if booking_of_key(world) is None and world.now <= bounds.asks_until:
        for body in bounds.bodies:
            yield "put", A0, body, world.now
            if ("put", A0, body, "gone") in world.heard:  # that id is spent
                yield "put", A1, body, world.now


def let_go(bounds: Bounds, world: World) -> Iterator[int]:
    """The holds that a request gives back because nobody can come back for them."""
    if world.bob == "letting_go":
        yield BOB
    if bounds.has(Mutation.RELEASE_UNDER_A_KEY) and bounds.bodies:
        yield A0


def _driver_calls(bounds: Bounds, world: World, id: int, booking: Booking) -> Iterator[Call]:
    p = booking.active
    payment = None if p is None else world.payments[p]
    for late in lateness(world, booking, GIVE_UP_AFTER):
        step = next_step(booking, payment, late)
        if step == "release" and not bounds.has(Mutation.NEVER_RELEASED):
            yield "release", id
        elif step == "give_up" and bounds.has(Mutation.GIVE_UP_NEVER):
            yield "authorise", p
        elif step in WAITS_IN:
            yield step, p
    if bounds.has(Mutation.CAPTURE_BEFORE_CONFIRM) and payment and payment.status == "authorized":
        yield "capture", p
    if bounds.has(Mutation.AUTHORISED_AND_CONFIRMED_AT_ONCE) and (
        ("authorise", p, "yes") in world.heard
    ):
        yield "confirm", p


def arrives(bounds: Bounds, world: World, call: Call) -> Iterator[tuple[str, World, Answer | None]]:
    """A call is carried out, be it the first time or not: in words, and what was answered.

    The answer is None when nobody learns anything from it.
    """
    what, subject = call[:2]
    if what == "put":
        yield from _put_arrives(bounds, world, call)
    elif what == "news":
        yield "The booking service hears that the flight is cancelled.", _news(world), None
    elif what in provider_rules.CALLS:
        mutation = Mutation.VOID_WITHOUT_TOMBSTONE if bounds.provider_forgets else bounds.mutation
        for answer, state in provider_rules.decide(world.provider[subject], what, mutation):
            says = f"The provider is asked to {what} payment {subject + 1}: {answer}."
            after = world._replace(provider=changed(world.provider, subject, state))
            yield _answered(says, after, what, subject, MEANS.get((what, answer)))
    else:
        id = subject if what in {"let_go", "release"} else world.payments[subject].of
        command = COMMANDS.get(what, "release")
        if what == "release" and world.bookings[id].status == "expired":
            command = "release"  # it never had a confirmed hold, so nothing more is asked for
        answer, after = flight_rules.decide(world, command, id, mutation=bounds.mutation)
        says = f"The flight service is asked to {command} {WHOSE[id]} hold ({what}): {answer}."
        deaf = what == "let_go" or (what, answer) == ("give_up", "confirmed")
        yield _answered(says, after, what, subject, None if deaf else answer)


def _put_arrives(
    bounds: Bounds, world: World, call: Call
) -> Iterator[tuple[str, World, Answer | None]]:
    _, id, body, called_at = call
    if world.now > bounds.arrives_until:
        return
    ends = NEVER if bounds.horizon is None else world.now + TTL
    answer, after = flight_rules.decide(world, "put", id, body, ends=ends, mutation=bounds.mutation)
    says = f"The flight service is asked for {WHOSE[id]} hold, body {body}: {answer}."
    if answer in {"created", "held"}:
        deadline = _deadline(bounds, called_at, after.holds[id].ends - world.now)
        heard = ("put", id, body, deadline, "held")
        yield says, after._replace(heard=after.heard | {heard}), heard
    else:
        yield _answered(says, after, "put", id, "gone" if answer == "gone" else None, body)


def _deadline(bounds: Bounds, called_at: int, left: int) -> int:
    """The moment until which the customer may pay, counted from before the call."""
    if bounds.horizon is None:
        return NEVER
    if bounds.has(Mutation.DEADLINE_FROM_AFTER_THE_CALL):
        called_at = 0  # the moment of the record is added instead, in happenings.py
    return called_at + min(left, TTL) - GRACE


def _news(world: World) -> World:
    return world if world.news else world._replace(news="due")


def _answered(
    says: str, after: World, what: str, subject: int, answer: str | None, *more: object
) -> tuple[str, World, Answer | None]:
    if answer is None:
        return says, after, None
    heard = (what, subject, *more, answer)
    if heard in after.heard:
        return says, after, heard
    return says, after._replace(heard=after.heard | {heard}), heard


# --- keeping a world small ------------------------------------------------------------------------


def tidied(bounds: Bounds, world: World) -> World:
    """What may be asked now is on the wire; what can never matter again is forgotten."""
    now = frozenset(calls_now(bounds, world))
    asked = world.asked | now
    if bounds.mutation is None:
        asked = frozenset(
            call for call in asked if call in now or not _is_idle(bounds, world, call)
        )
    heard = frozenset(answer for answer in world.heard if _matters(bounds, world, answer))
    if asked == world.asked and heard == world.heard:
        return world
    return world._replace(asked=asked, heard=heard)


def _matters(bounds: Bounds, world: World, heard: Answer) -> bool:
    """Whether somebody who heard this might still get it past a guard."""
    what, subject = heard[:2]
    if what == "put" and subject == BOB:
        return world.bob == "asking"
    if what == "put":
        return booking_of_key(world) is None or bounds.has(Mutation.RECORD_WITHOUT_UNIQUE_KEY)
    if what == "release":
        return world.bookings[subject].hold_open
    status = world.payments[subject].status
    again = bounds.provider_forgets and what in {"void", "refund"}  # both may be due once more
    return status in WAITS_IN[what] or again


def _is_idle(bounds: Bounds, world: World, call: Call) -> bool:
    """Whether a call that nobody waits for any more can never change anything."""
    what, subject = call[:2]
    if what in provider_rules.CALLS:
        return not bounds.provider_forgets and world.provider[subject] in provider_rules.CALLS[what]
    if what == "news":
        return world.news is not None
    if what == "put":
        return world.holds[subject] is not None
    id = subject if what in {"let_go", "release"} else world.payments[subject].of
    hold = world.holds[id]
    if what == "release":
        return hold is not None and hold.status not in flight_rules.LIVE
    return hold is not None and hold.status != "held"
