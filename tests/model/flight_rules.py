"""The flight service: what it does with each call on a hold. PROTOCOL §2, as `Ledger` has it."""

from __future__ import annotations

from .mutations import Mutation
from .world import TTL, WANTS, Hold, World, changed

LIVE = ("held", "confirmed")
NEXT = {
    "held": {"confirmed", "released", "expired"},
    "confirmed": {"cancelled"},
    "released": set(),
    "expired": set(),
    "cancelled": set(),
}


def decide(
    world: World,
    command: str,
    id: int,
    body: str | None = None,
    *,
    ends: int | None = None,
    now: int | None = None,
    mutation: Mutation | None = None,
) -> tuple[str, World]:
    """Carry out `put`, `confirm`, `release` (`cancel` for ?cancel=1) or `expire`.

    `ends` is the end of a new hold; `now` another moment than the world's, as a clock that jumped
    would have it. The answers: created, held, confirmed, ended, gone (410, or 404 to a
    confirmation), differs (422), taken and cancelled (409), unknown (404 to the sweeper).
    """
    now = world.now if now is None else now
    overlooks = command == "confirm" and mutation is Mutation.CONFIRM_AFTER_THE_END
    if not overlooks:
        world = _settled(world, id, now)
    match command:
        case "put":
            return _put(world, id, body, now, now + TTL if ends is None else ends, mutation)
        case "confirm":
            return _confirm(world, id, mutation)
        case "release" | "cancel":
            return _end(world, id, mutation, cancel=command == "cancel")
        case "expire":
            return _expire(world, id, mutation)
    raise ValueError(command)


def _put(
    world: World, id: int, body: str | None, now: int, ends: int, mutation: Mutation | None
) -> tuple[str, World]:
    hold = world.holds[id]
    if hold is None:
        return _create(world, id, body, now, ends, mutation)
    if hold.body not in {None, body} and mutation is not Mutation.REQUEST_NOT_COMPARED:
        return "differs", world
    if hold.status not in LIVE:
        return "gone", world
    return hold.status, world


def _create(
    world: World, id: int, body: str | None, now: int, ends: int, mutation: Mutation | None
) -> tuple[str, World]:
    """All seats or none; a hold whose time is up stands in nobody's way, and is ended first."""
    if world.flight == "cancelled":
        return "cancelled", world
    seats = WANTS[id, body]
    owners = {world.claims[seat] for seat in seats} - {None}
    if not all(_is_over(world, owner, now) for owner in owners):
        return "taken", world
    if mutation is not Mutation.RESOLD_WITHOUT_ENDING:
        for owner in owners:
            world = _settled(world, owner, now)
    claims = tuple(id if seat in seats else owner for seat, owner in enumerate(world.claims))
    holds = changed(world.holds, id, Hold("held", body, ends))
    return "created", world._replace(holds=holds, claims=claims)


def _confirm(world: World, id: int, mutation: Mutation | None) -> tuple[str, World]:
    hold = world.holds[id]
    if hold is None or hold.status not in LIVE:
        return "gone", world
    if hold.status == "confirmed":
        return "confirmed", world
    if world.flight == "cancelled" and mutation is not Mutation.CONFIRM_ON_CANCELLED_FLIGHT:
        return "gone", _moved(world, id, "released")  # ADR 9
    return "confirmed", _moved(world, id, "confirmed")


def _end(world: World, id: int, mutation: Mutation | None, *, cancel: bool) -> tuple[str, World]:
    hold = world.holds[id]
    if hold is None:
        return "ended", _buried(world, id, mutation)
    if hold.status == "held":
        world = _moved(world, id, "released")
    elif hold.status == "confirmed" and cancel:
        world = _moved(world, id, "cancelled")
    elif hold.status == "confirmed":
        if mutation is not Mutation.RELEASE_TAKES_CONFIRMED:
            return "confirmed", world
        world = _moved(world, id, "cancelled")
    elif mutation is Mutation.UNFENCED_RELEASE and hold.body is not None:
        seats = WANTS[id, hold.body]
        free = (None if seat in seats else owner for seat, owner in enumerate(world.claims))
        world = world._replace(claims=tuple(free))
    return "ended", world._replace(given_back=world.given_back | {id})


def _buried(world: World, id: int, mutation: Mutation | None) -> World:
    """A tombstone: a PUT that comes late finds this id ended."""
    if mutation is not Mutation.DELETE_WITHOUT_TOMBSTONE:
        holds = changed(world.holds, id, Hold("released", None, world.now))
        world = world._replace(holds=holds)
    return world._replace(given_back=world.given_back | {id})


def _expire(world: World, id: int, mutation: Mutation | None) -> tuple[str, World]:
    hold = world.holds[id]
    if hold is None:
        return "unknown", world
    if mutation is Mutation.SWEEP_UNGUARDED and hold.status == "confirmed":
        world = _moved(world, id, "expired")
    return "ended" if world.holds[id].status not in LIVE else hold.status, world


def _is_over(world: World, id: int, now: int) -> bool:
    hold = world.holds[id]
    return hold is not None and hold.status == "held" and hold.ends <= now


def _settled(world: World, id: int, now: int) -> World:
    """The same, this hold ended if its time is up: nobody acts on one that only looks alive."""
    return _moved(world, id, "expired") if _is_over(world, id, now) else world


def _moved(world: World, id: int, new: str) -> World:
    """The hold in its new state; once it has ended, its seats are free in the same transaction."""
    holds = changed(world.holds, id, world.holds[id]._replace(status=new))
    if new in LIVE:
        return world._replace(holds=holds)
    claims = tuple(None if owner == id else owner for owner in world.claims)
    return world._replace(holds=holds, claims=claims)
