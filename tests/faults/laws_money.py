"""Laws about money: the provider's ledger against what was sold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .evidence import ENDED, Evidence, Violation

# Where the provider may stand once an attempt rests on our side. A void leaves nothing reserved
# and nothing collected; how the provider calls that depends on how far the attempt had come.
NOTHING_KEPT = frozenset({"cancelled", "declined", "capture_refused", "refunded"})
AGREES = {
    "captured": frozenset({"captured"}),
    "voided": NOTHING_KEPT,
    "refunded": frozenset({"refunded"}),
}


def money_for_seats(known: Evidence) -> Iterator[Violation]:
    """Every captured payment has a confirmed booking or a refund, and nobody pays in vain.

    Seats are confirmed before the money is taken: so a payment that was ever captured belongs to a
    booking that was confirmed, even if it has been refunded since.
    """
    ever = {event["subject"] for event in known.outbox if event["type"] == "booking.confirmed"}
    for id_, charge in known.ledger.items():
        payment = known.payments.get(id_)
        booking = known.bookings.get(payment["booking_id"]) if payment else None
        if payment is None or booking is None:
            text = f"the provider has a payment ({charge['state']}) that we know nothing of"
            yield Violation("money_for_seats", (id_,), text)
            continue
        ids = (id_, booking["id"])
        # One that is still to be refunded is for the law about rest.
        kept = charge["state"] == "captured" and payment["status"] != "refund_due"
        if kept and booking["status"] in ENDED:
            text = f"money is kept for a booking that is {booking['status']}"
            yield Violation("money_for_seats", ids, text)
        if known.captured(id_) and booking["id"] not in ever and booking["status"] != "paying":
            text = f"money was taken although the booking, now {booking['status']}, never was sold"
            yield Violation("money_for_seats", ids, text)


def sold_is_paid(known: Evidence) -> Iterator[Violation]:
    """A confirmed booking has exactly one payment that is captured, of exactly its total."""
    for id_, booking in known.bookings.items():
        if booking["status"] != "confirmed":
            continue
        paid = [
            charge
            for payment in known.by_booking[id_]
            if (charge := known.ledger.get(payment["id"])) and charge["state"] == "captured"
        ]
        sums = [(charge["amount_minor"], charge["currency"]) for charge in paid]
        if sums != [(booking["total_minor"], booking["currency"])]:
            total = f"{booking['total_minor']} {booking['currency']}"
            text = f"it is confirmed for {total}, and the provider has collected {sums}"
            yield Violation("sold_is_paid", (id_,), text)


def charged_once(known: Evidence) -> Iterator[Violation]:
    """Nobody's money is collected twice for a booking, or given back twice."""
    per_booking: Counter[str] = Counter()
    for id_, kinds in known.entries_of.items():
        for kind in ("captured", "refunded"):
            if kinds.count(kind) > 1:
                text = f"the provider {kind} it {kinds.count(kind)} times"
                yield Violation("charged_once", (id_,), text)
        if "captured" in kinds and id_ in known.payments:
            per_booking[known.payments[id_]["booking_id"]] += 1
    for booking_id, times in per_booking.items():
        if times > 1:
            text = f"{times} payments for one booking were collected"
            yield Violation("charged_once", (booking_id,), text)


def books_agree(known: Evidence) -> Iterator[Violation]:
    """What rests in our books is what the provider's say, and the sums are the same."""
    for id_, payment in known.payments.items():
        allowed = AGREES.get(payment["status"])
        if allowed is None:  # not at rest, which is another law's
            continue
        charge = known.ledger.get(id_)
        state = charge["state"] if charge else "nothing of it"
        if state not in allowed:
            text = f"it is {payment['status']} in our books, and the provider says {state}"
            yield Violation("books_agree", (id_, payment["booking_id"]), text)
    yield from _sums(known)


def _sums(known: Evidence) -> Iterator[Violation]:
    net: Counter[str] = Counter()
    for entry in known.entries:
        sign = {"captured": 1, "refunded": -1}.get(entry["kind"], 0)
        net[entry["currency"]] += sign * entry["amount_minor"]
    sold: Counter[str] = Counter()
    for booking in known.bookings.values():
        if booking["status"] == "confirmed":
            sold[booking["currency"]] += booking["total_minor"]
    owed: Counter[str] = Counter()
    for payment in known.payments.values():
        kinds = known.entries_of[payment["id"]]
        unsettled = payment["status"] in {"capture_due", "refund_due"}
        if unsettled and "captured" in kinds and "refunded" not in kinds:
            owed[payment["currency"]] += payment["amount_minor"]
    for currency in net.keys() | sold.keys():
        if net[currency] != sold[currency] + owed[currency]:
            text = (
                f"the provider keeps {net[currency]} {currency}, sold is for {sold[currency]}, "
                f"and {owed[currency]} is still to be settled"
            )
            yield Violation("books_agree", (currency,), text)
