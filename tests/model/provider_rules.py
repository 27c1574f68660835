"""The payment provider, as unkind as the port allows it to be.

It may keep an authorisation waiting (3-D Secure, or a bank that does not answer), let it lapse,
and change its mind when a refused call comes a second time; what it has cancelled stays cancelled.
"""

from __future__ import annotations

from .mutations import Mutation

STATES = (
    "pending",
    "authorized",
    "declined",
    "captured",
    "capture_refused",
    "cancelled",
    "refunded",
)
# The calls, and the states in which they change nothing, now or ever.
ENDED = frozenset({"captured", "cancelled", "refunded"})
CALLS = {
    "authorise": ENDED | {"authorized", "capture_refused"},
    "capture": ENDED,
    "void": ENDED,
    "refund": frozenset({"refunded", "cancelled"}),
}


def decide(
    state: str | None, call: str, mutation: Mutation | None = None
) -> tuple[tuple[str, str | None], ...]:
    """What may come of a call: for each possibility the answer and the state it leaves.

    The answer `unknown` is none: the caller learns nothing from it.
    """
    match call:
        case "authorise":
            return _authorise(state)
        case "capture":
            return _capture(state)
        case "void":
            return _void(state, mutation)
        case "refund":
            return _refund(state)
    raise ValueError(call)


def _authorise(state: str | None) -> tuple[tuple[str, str | None], ...]:
    if state is None:
        return ("authorized",) * 2, ("declined",) * 2, ("pending",) * 2
    if state == "declined":  # a repeat may succeed all the same
        return ("declined",) * 2, ("authorized",) * 2
    return ((state, state),)


def _capture(state: str | None) -> tuple[tuple[str, str | None], ...]:
    if state in {"authorized", "capture_refused"}:
        return ("captured",) * 2, ("capture_refused",) * 2
    return (("unknown" if state is None else state, state),)


def _void(state: str | None, mutation: Mutation | None) -> tuple[tuple[str, str | None], ...]:
    if state is None and mutation is Mutation.VOID_WITHOUT_TOMBSTONE:
        return (("cancelled", None),)
    if state in {"captured", "refunded"}:
        return ((state, state),)
    return (("cancelled",) * 2,)


def _refund(state: str | None) -> tuple[tuple[str, str | None], ...]:
    if state == "captured":  # a refund that fails is asked for again
        return ("refunded",) * 2, ("captured",) * 2
    return (("unknown" if state is None else state, state),)


def by_itself(state: str | None, *, forgets: bool = False) -> tuple[tuple[str, str], ...]:
    """What the provider may do unasked, and the state it leaves."""
    match state:
        case "pending":
            return ("authorises at last", "authorized"), ("declines at last", "declined")
        case "authorized":
            return (("lets the authorisation lapse", "cancelled"),)
        case "refunded" if forgets:
            return (("gets its refund back", "captured"),)
        case _:
            return ()
