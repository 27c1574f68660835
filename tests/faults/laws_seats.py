"""Laws about seats: who has them, since when, and who let go of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from .evidence import ENDED, LIVE_HOLDS, Evidence, Op, Violation, seats_of

NEVER = float("inf")
SHOWS_A_BOOKING = frozenset({"book", "read", "pay", "cancel"})
INSTANT_S = 1.0  # between two clocks that were read for the same instant
SWEEP_S = 10.0  # how long a sweeper may take to come by, on a machine that is busy


def sampled(known: Evidence, law: str) -> Iterator[Violation]:
    """What the sampler saw of this law."""
    for sample in known.samples:
        if sample["violation"] and sample["law"] == law:
            yield Violation(law, tuple(sample["ids"]), sample["violation"])


def one_owner(known: Evidence) -> Iterator[Violation]:
    """A seat has at most one live owner: in the final databases, and in what buyers were told."""
    yield from sampled(known, "one_owner")
    yield from _one_live_hold(known)
    yield from _one_booking_at_a_time(known)


def _one_live_hold(known: Evidence) -> Iterator[Violation]:
    for what, rows, live in (
        ("holds", known.holds, LIVE_HOLDS),
        ("bookings", known.bookings, frozenset({"confirmed"})),
    ):
        owners: dict[tuple[str, str], list[str]] = defaultdict(list)
        for id_, row in rows.items():
            if row["status"] in live:
                for seat in seats_of(row):
                    owners[seat].append(id_)
        for (flight, seat), ids in owners.items():
            if len(ids) > 1:
                text = f"seat {seat} of {flight} is in {len(ids)} live {what} at once"
                yield Violation("one_owner", tuple(ids), text)


def _one_booking_at_a_time(known: Evidence) -> Iterator[Violation]:
    """Two bookings that were confirmed in the end cannot both have had a seat in between.

    A booking that is ever confirmed has its seats without a pause from its hold on: so from the
    first answer that showed it, until somebody may have cancelled it.
    """
    spans: dict[tuple[str, str], list[tuple[float, float, str]]] = defaultdict(list)
    for id_, (since, until) in owned_spans(known).items():
        for seat in seats_of(known.bookings[id_]):
            spans[seat].append((since, until, id_))
    for (flight, seat), owners in spans.items():
        owners.sort()
        for (_, until, first), (since, _, second) in pairwise(owners):
            if since < until:
                text = f"seat {seat} of {flight}: the first still had it when the second was told"
                yield Violation("one_owner", (first, second), text)


def owned_spans(known: Evidence) -> dict[str, tuple[float, float]]:
    """For each booking that was ever confirmed: from when till when its seats were surely its."""
    ever = {
        event["subject"] for event in known.outbox if event["type"] == "booking.confirmed"
    } & known.bookings.keys()
    since: dict[str, float] = {}
    until: dict[str, float] = dict.fromkeys(ever, NEVER)
    for op in known.ops:
        shown = shown_in(op)
        if shown is not None and shown[0] in ever and shown[1] not in ENDED:
            since[shown[0]] = min(since.get(shown[0], NEVER), op.ended)
        if op.f == "cancel" and op.booking_id in ever and not op.had_no_effect:
            until[op.booking_id] = min(until[op.booking_id], op.began)
    for id_ in ever:
        if known.on_cancelled_flight(known.bookings[id_]):
            until[id_] = -NEVER  # whoever cancelled it, nobody else can have it
    return {id_: (begin, until[id_]) for id_, begin in since.items() if begin < until[id_]}


def shown_in(op: Op) -> tuple[str, str] | None:
    """The booking that an answer showed, and the state it had."""
    if op.outcome != "ok" or op.f not in SHOWS_A_BOOKING:
        return None
    booking = op.body.get("booking", op.body)
    if isinstance(booking, dict) and "id" in booking and "status" in booking:
        return booking["id"], booking["status"]
    return None


def claims_match(known: Evidence) -> Iterator[Violation]:
    """Claimed seats are the seats of held and confirmed holds: in every sample, and at the end."""
    yield from sampled(known, "claims_match")
    wanted = Counter(
        (*seat, id_)
        for id_, hold in known.holds.items()
        if hold["status"] in LIVE_HOLDS
        for seat in seats_of(hold)
    )
    found = Counter((row["flight_id"], row["seat"], row["hold_id"]) for row in known.claims)
    for flight, seat, hold in wanted - found:
        status = known.holds[hold]["status"]
        text = f"seat {seat} of {flight} belongs to a hold that is {status}, and is not claimed"
        yield Violation("claims_match", (hold,), text)
    for flight, seat, hold in found - wanted:
        status = known.holds[hold]["status"] if hold in known.holds else "not there"
        text = f"seat {seat} of {flight} is claimed for a hold that is {status}"
        yield Violation("claims_match", (hold,), text)


def no_seat_stuck(known: Evidence) -> Iterator[Violation]:
    """Once all is quiet a hold is live only for a booking that is, and none is held for nobody."""
    for id_, hold in known.holds.items():
        if hold["status"] not in LIVE_HOLDS:
            continue
        booking = known.bookings.get(id_)
        if booking is None and hold["status"] == "confirmed":
            yield Violation("no_seat_stuck", (id_,), "a confirmed hold has no booking")
        elif booking and booking["status"] in ENDED and not booking["hold_open"]:
            text = f"the hold is {hold['status']}, its booking {booking['status']} and done with"
            yield Violation("no_seat_stuck", (id_,), text)
        elif hold["status"] == "held" and not known.clocks_jumped:
            late = known.quiet_at - hold["expires_at"]
            if late >= SWEEP_S:
                text = f"a hold is held, {late:.0f} s after its time was up"
                yield Violation("no_seat_stuck", (id_,), text)


def seat_kept(known: Evidence) -> Iterator[Violation]:
    """A hold ends by its time, or because its booking has ended; a promised seat is not taken away.

    The exceptions are ours to give: a flight that was cancelled, and a payment that was given up
    after its deadline, which releases the hold while another driver may still be at it.
    """
    yield from sampled(known, "seat_kept")
    for id_, hold in known.holds.items():
        if hold["status"] == "expired" and hold["resolved_at"] < hold["expires_at"]:
            early = hold["expires_at"] - hold["resolved_at"]
            yield Violation("seat_kept", (id_,), f"a hold expired {early:.1f} s before its time")
    for id_, booking in known.bookings.items():
        hold = known.holds.get(id_)
        if hold is None:
            yield Violation("seat_kept", (id_,), "a booking has no hold")
        elif booking["status"] == "confirmed" and hold["status"] != "confirmed":
            text = f"a confirmed booking's hold is {hold['status']}"
            yield Violation("seat_kept", (id_,), text)
        elif _was_taken_away(known, id_):
            text = "its hold was released before its deadline, and then its seats were gone"
            yield Violation("seat_kept", (id_,), text)


def _was_taken_away(known: Evidence, id_: str) -> bool:
    hold, booking = known.holds[id_], known.bookings[id_]
    gone = any(payment["failure"] == "seats_gone" for payment in known.by_booking[id_])
    return (
        gone
        and hold["status"] in {"released", "cancelled"}
        and hold["resolved_at"] < booking["payment_required_by"]
        and not known.clocks_jumped
        and not known.on_cancelled_flight(booking)
    )


def steps_in_order(known: Evidence) -> Iterator[Violation]:
    """A hold goes only where it may, and is confirmed only after an authorisation is written."""
    yield from sampled(known, "steps_in_order")


def ended_is_ended(known: Evidence) -> Iterator[Violation]:
    """What a release was told is ended is never live afterwards: not by a PUT that comes late."""
    ended: dict[str, float] = {}
    for call in known.wire:
        if call["method"] == "DELETE" and call["status"] == 200:
            hold = _hold_of(call["path"])
            ended[hold] = min(ended.get(hold, NEVER), call["ended"])
    for call in known.wire:
        hold = _hold_of(call["path"])
        if (
            call["method"] == "PUT"
            and call["status"] in {200, 201}
            and call["began"] > ended.get(hold, NEVER)
        ):
            text = f"a PUT was answered {call['status']} after a DELETE had ended the hold"
            yield Violation("ended_is_ended", (hold,), text)
    if known.wall is not None and not known.clocks_jumped:
        yield from _lived_on(known, {id_: at + known.wall for id_, at in ended.items()})


def _lived_on(known: Evidence, ended: Mapping[str, float]) -> Iterator[Violation]:
    """A PUT that was on its way at the same time may have made it, before or after the DELETE.

    Before, and it was ended by that; after, and it must not have been made at all.
    """
    for id_, at in ended.items():
        hold = known.holds.get(id_)
        if hold is None:
            yield Violation("ended_is_ended", (id_,), "a DELETE ended it, and nothing was kept")
        elif hold["status"] in LIVE_HOLDS or hold["resolved_at"] > at + INSTANT_S:
            text = f"a DELETE had ended it, and later it is {hold['status']}"
            yield Violation("ended_is_ended", (id_,), text)


def _hold_of(path: str) -> str:
    return path.partition("?")[0].partition("/holds/")[2].partition("/")[0]
