"""What happens without a call: people, transactions, timers, and faults that need no wire."""

from __future__ import annotations

from collections.abc import Iterator

from . import booking_rules, flight_rules, provider_rules
from .bounds import Bounds
from .engine import Step
from .mutations import Mutation
from .world import (
    BOB,
    GIVE_UP_AFTER,
    KEYED,
    NEVER,
    RIVAL,
    TTL,
    WHOSE,
    Answer,
    Booking,
    World,
    changed,
)

ALIVE = ("held", "paying", "confirmed")


def everything(bounds: Bounds, world: World) -> Iterator[Step]:
    """All of it; what is fair comes sooner or later without anybody's wish."""
    yield from _timers(bounds, world)
    yield from _people(bounds, world)
    yield from _bob(bounds, world)
    yield from _provider(bounds, world)
    if bounds.airline_cancels:
        yield from _airline(bounds, world)
    if bounds.rival:
        yield from _rival(bounds, world)


def acted(bounds: Bounds, world: World, heard: Answer) -> Iterator[tuple[str, World]]:
    """A process that heard this answer commits what follows from it, if its guard allows."""
    what, subject, answer = heard[0], heard[1], heard[-1]
    if what == "put":
        if answer == "held" and subject in KEYED:
            yield from _recorded(bounds, world, heard)
        return
    if what == "release":
        of, after = f"{WHOSE[subject]} booking", booking_rules.released(world, subject)
    else:
        of = f"payment {subject + 1}"
        after = booking_rules.acted_upon(world, what, subject, answer, bounds.mutation)
    if after is not None and after != world:
        yield f"A driver that was answered '{answer}' to '{what}' writes it down for {of}.", after


# --- making bookings ------------------------------------------------------------------------------


def _recorded(bounds: Bounds, world: World, heard: Answer) -> Iterator[tuple[str, World]]:
    _, id, body, deadline, _ = heard
    if bounds.has(Mutation.DEADLINE_FROM_AFTER_THE_CALL):
        deadline += world.now
    booking = Booking("held", body, deadline, active=None, hold_open=True)
    after = booking_rules.recorded(world, id, booking, bounds.mutation, keyed=True)
    if after is not None:
        yield f"A request that was given the hold records {WHOSE[id]} booking.", after
    if bounds.airline_cancels and world.news is None and world.blind is None:
        says = f"A transaction begins that will record {WHOSE[id]} booking."
        yield says, world._replace(blind=(id, booking))


def _bob(bounds: Bounds, world: World) -> Iterator[Step]:
    """Bob has no key, so the one process that serves him knows when nobody can come back."""
    if world.bob == "asking":
        if any(heard[:2] == ("put", BOB) and heard[-1] == "held" for heard in world.heard):
            yield Step("Bob's request is given its hold.", world._replace(bob="recording"), False)
        says = "Bob's request gets no answer in time, and lets its hold go."
        yield Step(says, world._replace(bob="letting_go"), False)
        yield Step("Bob's request dies.", world._replace(bob="gone"), False)
    if world.bob == "recording":
        booking = Booking("held", "x", NEVER, active=None, hold_open=True)
        written = booking_rules.recorded(world, BOB, booking, bounds.mutation, keyed=False)
        yield Step("Bob's request records his booking.", written._replace(bob="gone"), False)
        says = "Bob's request cannot record his booking, and lets its hold go."
        yield Step(says, world._replace(bob="letting_go"), False)
        says = "Bob's request dies, or does not know whether it has recorded anything; it has not."
        yield Step(says, world._replace(bob="gone"), False)
        if bounds.has(Mutation.RELEASE_AFTER_UNKNOWN_COMMIT):
            says = "Bob's request records his booking, does not hear of it, and lets its hold go."
            yield Step(says, written._replace(bob="letting_go"), False)


# --- people and timers ----------------------------------------------------------------------------


def _people(bounds: Bounds, world: World) -> Iterator[Step]:
    for id, booking in enumerate(world.bookings):
        if booking is None:
            continue
        if (after := booking_rules.paying_started(world, id, bounds.mutation)) is not None:
            p = after.bookings[id].active + 1
            yield Step(f"{WHOSE[id]} booking is to be paid, by payment {p}.", after, False)
        if bounds.owner_cancels:
            after = booking_rules.called_off(world, id, bounds.mutation)
            if after is not None:
                yield Step(f"{WHOSE[id]} booking is cancelled by its owner.", after, False)


def _timers(bounds: Bounds, world: World) -> Iterator[Step]:
    for id, booking in enumerate(world.bookings):
        if booking is not None:
            yield from _booking_timers(bounds, world, id, booking)
    for id, hold in enumerate(world.holds):
        if hold is not None and hold.status in flight_rules.LIVE:
            now = NEVER if bounds.horizon is None else world.now
            _, after = flight_rules.decide(world, "expire", id, now=now, mutation=bounds.mutation)
            yield Step(f"The sweeper looks at {WHOSE[id]} hold.", after, True)
    if bounds.horizon is not None and world.now < bounds.horizon:
        yield Step(f"It is now {world.now + 1}.", world._replace(now=world.now + 1), True)


def _booking_timers(bounds: Bounds, world: World, id: int, booking: Booking) -> Iterator[Step]:
    late = booking_rules.lateness(world, booking, GIVE_UP_AFTER)
    early = bounds.has(Mutation.EXPIRE_BEFORE_THE_DEADLINE)
    if any(late) or early:
        after = booking_rules.expired(world, id, bounds.mutation)
        if after is not None:
            yield Step(f"The driver finds {WHOSE[id]} booking overdue: expired.", after, True)
    if bounds.has(Mutation.NEVER_RELEASED):
        after = booking_rules.released(world, id)
        if after is not None:
            yield Step(f"{WHOSE[id]} booking counts as released.", after, True)
    asks_nobody = bounds.has(Mutation.GIVE_UP_WITHOUT_ASKING) and max(late) == 2
    if asks_nobody and booking.active is not None:
        after = booking_rules.acted_upon(world, "give_up", booking.active, "ended", None)
        if after is not None:
            yield Step(f"A driver gives {WHOSE[id]} payment up, and asks nobody.", after, True)


# --- the provider, the airline, the rival ---------------------------------------------------------


def _provider(bounds: Bounds, world: World) -> Iterator[Step]:
    for p, state in enumerate(world.provider):
        forgets = bounds.provider_forgets
        for does, becomes in provider_rules.by_itself(state, forgets=forgets):
            after = world._replace(provider=changed(world.provider, p, becomes))
            yield Step(f"The provider {does}: payment {p + 1}.", after, False)
        after = booking_rules.reopened(world, p) if forgets else None
        if after is not None:
            says = f"A webhook or the audit wakes payment {p + 1}: at rest, and yet {state}."
            yield Step(says, after, True)


def _airline(bounds: Bounds, world: World) -> Iterator[Step]:
    """ADR 10: the news is written down, carried to each booking, and then done with."""
    statuses = {booking.status for booking in world.bookings if booking is not None}
    if world.flight == "goes":
        yield Step("Staff cancel the flight.", world._replace(flight="cancelled"), False)
    if world.news in {"due", "half", "looked"}:
        for id, booking in enumerate(world.bookings):
            if booking is not None and booking.status in {"held", "confirmed"}:
                after = booking_rules.called_off(world, id, bounds.mutation)
                yield Step(f"{WHOSE[id]} booking is cancelled with its flight.", after, True)
    yield from _looks_who_is_left(bounds, world, statuses)
    settled = world.blind is None or bounds.has(Mutation.NEWS_DONE_AT_ONCE)
    if world.news == "looked" and settled:
        yield Step("The change of the flight is done with.", world._replace(news="done"), True)
    if world.blind is not None:
        yield Step("That transaction is rolled back.", world._replace(blind=None), True)
        id, booking = world.blind
        if booking_rules.booking_of_key(world) is None:
            bookings = changed(world.bookings, id, booking)
            after = world._replace(blind=None, bookings=bookings)
            yield Step(f"That transaction commits {WHOSE[id]} booking.", after, True)


def _looks_who_is_left(bounds: Bounds, world: World, statuses: set[str]) -> Iterator[Step]:
    """Whether any booking is still to hear of the change, once no older transaction is open."""
    two_reads = bounds.has(Mutation.NEWS_READ_IN_TWO)
    early = bounds.has(Mutation.NEWS_READ_TOO_EARLY) or bounds.has(Mutation.NEWS_DONE_AT_ONCE)
    if world.blind is not None and not early:
        return
    looked = Step(
        "Somebody looks who is left to tell: nobody.", world._replace(news="looked"), True
    )
    if world.news == "due" and two_reads and not statuses & {"held", "confirmed"}:
        says = "Somebody looks for bookings held or confirmed: none."
        yield Step(says, world._replace(news="half"), True)
    if world.news == "half" and "paying" not in statuses:
        yield looked
    if world.news == "due" and not two_reads and not statuses & set(ALIVE):
        yield looked


def _rival(bounds: Bounds, world: World) -> Iterator[Step]:
    """Another buyer's calls; whatever they are, they may not disturb ours."""
    for command in ("put", "confirm", "cancel"):
        if command == "put" and bounds.horizon is not None and world.now > bounds.horizon - TTL:
            continue
        ends = NEVER if bounds.horizon is None else None
        answer, after = flight_rules.decide(
            world, command, RIVAL, "x", ends=ends, mutation=bounds.mutation
        )
        yield Step(
            f"The flight service is asked to {command} the rival's hold: {answer}.", after, False
        )
