"""Laws about what people were told: an answer is a promise, and a refusal is one too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from .evidence import ENDED, TERMINAL, Evidence, Op, Violation
from .laws_seats import shown_in
from .tables import Row

CREATED = 201
# After which state only which others may be seen. From held and paying everything can come.
ONLY_THEN = {
    "confirmed": frozenset({"confirmed", "cancelled"}),
    "expired": frozenset({"expired"}),
    "cancelled": frozenset({"cancelled"}),
}


def nothing_lost(known: Evidence) -> Iterator[Violation]:
    """A booking that somebody was told of is there, with these seats, for ever after."""
    told: dict[str, float] = {}
    for op in known.ops:
        shown = shown_in(op)
        if shown is not None:
            told[shown[0]] = min(told.get(shown[0], float("inf")), op.ended)
            row = known.bookings.get(shown[0])
            if row is None:
                text = f"{op.f} was answered {op.status}, and the booking is not there"
                yield Violation("nothing_lost", (shown[0], f"op {op.number}"), text)
            elif op.f == "book":
                yield from _same_seats(op, row)
    for op in known.ops:
        not_there = op.code == "booking_not_found" and op.booking_id is not None
        if not_there and op.began > told.get(str(op.booking_id), float("inf")):
            text = f"{op.f} was told that it does not exist, after it had been acknowledged"
            yield Violation("nothing_lost", (str(op.booking_id), f"op {op.number}"), text)


def _same_seats(op: Op, row: Row) -> Iterator[Violation]:
    told = [(one["flight_id"], one["seats"]) for one in op.body.get("segments", [])]
    kept = [(one["flight_id"], one["seats"]) for one in row["segments"]]
    if told and told != kept:
        text = f"{told} was promised, and {kept} is kept"
        yield Violation("nothing_lost", (row["id"], f"op {op.number}"), text)


@dataclass
class _Seen:
    """When each state was first known for sure, of one booking."""

    since: dict[str, tuple[float, int]] = field(default_factory=dict)

    def note(self, status: str, op: Op) -> None:
        if op.ended < self.since.get(status, (float("inf"), 0))[0]:
            self.since[status] = (op.ended, op.number)


def no_way_back(known: Evidence) -> Iterator[Violation]:
    """A state that was acknowledged is never left again but for one that may follow it."""
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for op in known.ops:
        for id_, status in _acknowledged(op):
            seen[id_].note(status, op)
    for op in known.ops:
        for id_, status in _acknowledged(op):
            for before, (since, number) in seen[id_].since.items():
                if since < op.began and status not in ONLY_THEN.get(before, {status}):
                    text = f"op {number} was told {before}, and {op.f} later that it is {status}"
                    yield Violation("no_way_back", (id_, f"op {op.number}"), text)
    for id_, booking in known.bookings.items():
        for before, (_, number) in seen[id_].since.items():
            if booking["status"] not in ONLY_THEN.get(before, {booking["status"]}):
                text = f"op {number} was told {before}, and in the end it is {booking['status']}"
                yield Violation("no_way_back", (id_,), text)


def _acknowledged(op: Op) -> Iterator[tuple[str, str]]:
    """The states that an answer promised, of which bookings."""
    shown = shown_in(op)
    if shown is not None:
        yield shown
        if op.f == "pay" and op.status in {200, 201}:
            yield shown[0], "confirmed"  # or it is cancelled by now, which the answer shows too
    if op.f == "list" and op.outcome == "ok":
        for item in op.body.get("data", []):
            yield item["id"], item["status"]


def kept_word(known: Evidence) -> Iterator[Violation]:
    """We take no booking back: one that is cancelled was so by its buyer, its flight, or the bank.

    And one that has expired did so after its deadline, or because a payment came to nothing.
    """
    asked = {op.booking_id for op in known.ops if op.f == "cancel" and not op.had_no_effect}
    for id_, booking in known.bookings.items():
        failures = {payment["failure"] for payment in known.by_booking[id_]}
        if booking["status"] == "cancelled":
            by_airline = any(one["kind"] == "cancelled" for one in booking["changes"] or ())
            if id_ not in asked and not by_airline and "capture_refused" not in failures:
                yield Violation("kept_word", (id_,), "it is cancelled, and nobody asked for that")
        elif booking["status"] == "expired" and not failures & {"seats_gone", "no_answer"}:
            told = [
                event for event in known.told.get(id_, ()) if event["type"] == "booking.expired"
            ]
            early = [e for e in told if e["occurred_at"] < booking["payment_required_by"]]
            if early and not known.clocks_jumped:
                yield Violation("kept_word", (id_,), "it expired before its deadline")


def no_means_no(known: Evidence) -> Iterator[Violation]:
    """A definite refusal had no effect: no booking, no payment, no cancellation.

    Judged by key: of several requests under one key a single one that may have succeeded is
    enough. (`kept_word` says the same of cancellations.)
    """
    for f in ("book", "pay"):
        for key, ops in _by_key(known, f).items():
            if all(op.had_no_effect for op in ops):
                yield from (_not_booked if f == "book" else _not_paid)(known, key, ops)


def _by_key(known: Evidence, f: str) -> dict[str, list[Op]]:
    found: dict[str, list[Op]] = defaultdict(list)
    for op in known.ops:
        if op.f == f and op.key is not None:
            found[op.key].append(op)
    return {
        key: ops for key, ops in found.items() if len({op.buyer for op in ops}) == 1
    }  # a key is its buyer's own


def _not_booked(known: Evidence, key: str, ops: list[Op]) -> Iterator[Violation]:
    for id_, booking in known.bookings.items():
        if booking["idempotency_key"] == key:
            codes = sorted({str(op.code) for op in ops})
            yield Violation("no_means_no", (id_, key), f"refused with {codes}, and yet booked")


# Refusals by which the money was never taken; others may follow a payment that was given back.
NEVER_TAKEN = frozenset({"payment_declined", "capture_refused", "hold_expired"})


def _not_paid(known: Evidence, key: str, ops: list[Op]) -> Iterator[Violation]:
    codes = {str(op.code) for op in ops}
    for id_, payment in known.payments.items():
        if payment["idempotency_key"] != key:
            continue
        kept = known.ledger.get(id_, {}).get("state") == "captured"
        taken = known.captured(id_) and codes <= NEVER_TAKEN
        if (kept and payment["status"] != "refund_due") or taken:
            text = f"refused with {sorted(codes)}, and yet the money was taken"
            yield Violation("no_means_no", (id_, payment["booking_id"], key), text)


def one_key(known: Evidence) -> Iterator[Violation]:
    """One idempotency key is one booking, or one payment; its repeat is known as a repeat."""
    for f in ("book", "pay"):
        for key, ops in _by_key(known, f).items():
            yield from _one_thing(f, key, ops)
            yield from _kept_under_it(known, f, key, ops)
    for what, rows in (("bookings", known.bookings), ("payments", known.payments)):
        under: dict[tuple[str, str], list[str]] = defaultdict(list)
        for id_, row in rows.items():
            if row["idempotency_key"] is not None:
                under[row["user_id"], row["idempotency_key"]].append(id_)
        for (_, key), ids in under.items():
            if len(ids) > 1:
                yield Violation("one_key", (key, *ids), f"{len(ids)} {what} under one key")


def _one_thing(f: str, key: str, ops: list[Op]) -> Iterator[Violation]:
    made = {op.body["id"] for op in ops if op.outcome == "ok" and "id" in op.body}
    if len(made) > 1:
        text = f"{f} answered with {len(made)} different ones under one key"
        yield Violation("one_key", (key, *sorted(made)), text)
    for op in ops:
        if op.code == "idempotency_key_reused" and len({one.asked for one in ops}) == 1:
            text = f"{f} was taken for another request than its first try"
            yield Violation("one_key", (key, f"op {op.number}"), text)


def _kept_under_it(known: Evidence, f: str, key: str, ops: list[Op]) -> Iterator[Violation]:
    """What was made under a key is kept under it: otherwise a lost answer makes another one."""
    rows = known.bookings if f == "book" else known.payments
    for op in ops:
        if op.outcome == "ok" and op.status == CREATED:
            kept = rows.get(str(op.body.get("id")))
            if kept is not None and kept["idempotency_key"] != key:
                text = f"{f} was answered under a key, and is kept under {kept['idempotency_key']}"
                yield Violation("one_key", (key, kept["id"]), text)


def at_rest(known: Evidence) -> Iterator[Violation]:
    """Once all is quiet every booking is terminal, its seats and its money are settled.

    What waits for a moment that is still ahead is excused when a clock had jumped: it was set by
    that clock, and costs time, not safety.
    """
    for id_, booking in known.bookings.items():
        open_ = booking["status"] in ENDED and booking["hold_open"]
        moving = booking["status"] not in TERMINAL and not _in_time(known, booking)
        if (moving or open_) and not _waits(known, booking):
            seats = ", its seats are not given back" if open_ else ""
            late = known.quiet_at - booking["payment_required_by"]
            text = f"it is {booking['status']}{seats}, {late:.0f} s after its deadline"
            yield Violation("at_rest", (id_,), text)
    for id_, payment in known.payments.items():
        if payment["status"] not in {"captured", "voided", "refunded"}:
            booking = known.bookings.get(payment["booking_id"], {})
            if booking.get("status") == "paying" or _waits(known, payment):
                continue  # said above
            text = f"a payment is {payment['status']}, its booking {booking.get('status')}"
            yield Violation("at_rest", (id_, payment["booking_id"]), text)


def _in_time(known: Evidence, booking: Row) -> bool:
    """Whether its time is not even up: deadline, patience with the provider, and grace."""
    patience = known.run["give_up_after_s"] + known.run["hold_grace_s"]
    return bool(booking["payment_required_by"] + patience > known.quiet_at)


def _waits(known: Evidence, row: Row) -> bool:
    return known.clocks_jumped and row["due_at"] is not None and row["due_at"] > known.quiet_at
