"""The laws: what must be true at any moment, and what once everything has come to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .witnesses import Seen, seats_of

LIVE = {"held", "confirmed"}
TERMINAL = {"confirmed", "expired", "cancelled"}
# Where the provider's stands once ours is at rest.
AT_REST = {"captured": "captured", "voided": "cancelled", "refunded": "refunded"}
# Where our payment may stand while the provider's stands there.
OURS_WHILE = {
    "pending": {"created", "void_due"},
    "requires_action": {"created", "void_due"},
    "authorized": {"created", "authorized", "capture_due", "void_due"},
    "declined": {"created", "void_due"},
    "captured": {"capture_due", "captured", "refund_due"},
    "capture_refused": {"capture_due", "void_due"},
    "cancelled": {"void_due", "voided"},
    "refunded": {"refund_due", "refunded"},
}
# The letter that is still to be read when a booking has come to rest.
LAST_WORD = {
    "confirmed": {"booking.confirmed"},
    "expired": {"booking.expired"},
    "cancelled": {"booking.cancelled", "payment.refunded"},
}


def broken_at_any_moment(seen: Seen) -> list[str]:
    """What may not even be so in the moment in which a process dies."""
    return [*_seats(seen), *_promises(seen), *_money_on_its_way(seen), *_keys(seen)]


def broken_in_the_end(seen: Seen) -> list[str]:
    """What may not be so once nothing is left to do."""
    return [*broken_at_any_moment(seen), *_sold(seen), *_money(seen), *_told(seen)]


def unfinished(seen: Seen) -> list[str]:
    """What is still to be done, by the driver, the sweeper, the relay or a consumer."""
    return [
        *(f"booking {b.id} is {b.status}" for b in seen.bookings if b.status not in TERMINAL),
        *(
            f"the seats of {b.status} booking {b.id} are not given back"
            for b in seen.bookings
            if b.status in TERMINAL - {"confirmed"} and b.hold_open
        ),
        *_unsettled(seen),
        *(f"hold {h.id} is open" for h in seen.holds if h.status == "held"),
        *(f"the change of {c.flight_id} is due" for c in seen.changes if c.due_at is not None),
        *_untold(seen),
    ]


def unsettled(seen: Seen) -> list[str]:
    """What is still to be done although nobody has to wait for any time to be over."""
    paying = (f"booking {b.id} is paying" for b in seen.bookings if b.status == "paying")
    return [*paying, *_unsettled(seen), *_untold(seen)]


def _unsettled(seen: Seen) -> Iterator[str]:
    for payment in seen.payments:
        if payment.status not in AT_REST:
            yield f"payment {payment.id} is {payment.status}"


def _untold(seen: Seen) -> Iterator[str]:
    for event in (*seen.events, *seen.flight_events):
        if event.published_at is None:
            yield f"event {event.id} is not published"
    status = {booking.id: booking.status for booking in seen.bookings}
    for event in seen.events:
        last_word = event.type in LAST_WORD.get(status[event.subject], ())
        if last_word and event.id not in seen.letters:
            yield f"nobody was written to of {event.type} {event.id}"


# --- at any moment -----------------------------------------------------------------------------


def _seats(seen: Seen) -> Iterator[str]:
    claimed = {(claim.flight_id, claim.seat, claim.hold_id) for claim in seen.claims}
    held = {seat for hold in seen.holds if hold.status in LIVE for seat in seats_of(hold)}
    yield from (f"{claim} is claimed without a live hold" for claim in claimed - held)
    yield from (f"{claim} is held and not claimed" for claim in held - claimed)
    owners = Counter((flight, seat) for flight, seat, _ in held)
    yield from (f"{seat} has {n} owners" for seat, n in owners.items() if n > 1)


def _promises(seen: Seen) -> Iterator[str]:
    holds = {hold.id: hold.status for hold in seen.holds}
    collecting = {p.booking_id for p in seen.payments if p.status in {"capture_due", "captured"}}
    for booking in seen.bookings:
        hold = holds.get(booking.id)
        if hold is None or (booking.status == "held" and hold not in LIVE):
            yield f"booking {booking.id} is {booking.status}, its hold is {hold}"
        if (booking.status == "confirmed" or booking.id in collecting) and hold != "confirmed":
            yield f"booking {booking.id} is {booking.status}, its seats are {hold}"


def _money_on_its_way(seen: Seen) -> Iterator[str]:
    payments = {payment.id: payment for payment in seen.payments}
    for charge in seen.charges:
        payment = payments.get(charge.id)
        if payment is None:
            yield f"the provider has {charge.state} {charge.id}, and we have never heard of it"
            continue
        if payment.status not in OURS_WHILE[charge.state]:
            yield f"payment {charge.id} is {payment.status}, the provider has it {charge.state}"
        amounts = {(one.amount_minor, one.currency) for one in (payment, charge)}
        # What was cancelled before it arrived has no amount.
        if len(amounts) > 1 and charge.state != "cancelled":
            yield f"payment {charge.id} is for another amount at the provider"


def _keys(seen: Seen) -> Iterator[str]:
    used = Counter(
        (b.user_id, b.idempotency_key) for b in seen.bookings if b.idempotency_key is not None
    )
    yield from (f"{n} bookings under the key {key}" for key, n in used.items() if n > 1)


# --- in the end --------------------------------------------------------------------------------


def _sold(seen: Seen) -> Iterator[str]:
    sold = {hold.id for hold in seen.holds if hold.status in LIVE}
    confirmed = {booking.id for booking in seen.bookings if booking.status == "confirmed"}
    yield from (f"hold {id_} is sold to nobody" for id_ in sold - confirmed)
    yield from (f"booking {id_} is confirmed without seats" for id_ in confirmed - sold)


def _money(seen: Seen) -> Iterator[str]:
    """What is captured is what confirmed bookings cost, to the cent; all else is given back."""
    booking_of = {payment.id: payment.booking_id for payment in seen.payments}
    captured = Counter(booking_of.get(c.id) for c in seen.charges if c.state == "captured")
    confirmed = Counter(booking.id for booking in seen.bookings if booking.status == "confirmed")
    if captured != confirmed:
        yield f"captured for {dict(captured)}, confirmed {dict(confirmed)}"
    kept = sum(charge.amount_minor for charge in seen.charges if charge.state == "captured")
    owed = sum(b.total_minor for b in seen.bookings if b.status == "confirmed")
    if kept != owed:
        yield f"{kept} was captured for bookings of {owed}"
    charges = {charge.id: charge.state for charge in seen.charges}
    for payment in seen.payments:
        if (charge := charges.get(payment.id)) != AT_REST.get(payment.status):
            yield f"payment {payment.id} is {payment.status}, the provider has it {charge}"


def _told(seen: Seen) -> Iterator[str]:
    """Every move of a booking was told once, none that it did not make, in the order of moves."""
    for booking in seen.bookings:
        mine = [event for event in seen.events if event.subject == booking.id]
        told = Counter(event.type for event in mine)
        wanted = Counter(_story(seen, booking.id, booking.status))
        if told != wanted:
            yield f"booking {booking.id} was told as {dict(told)}, it was {dict(wanted)}"
        numbers = [event.sequence for event in mine]
        if len(set(numbers)) != len(numbers) or not 0 < max(numbers) <= booking.ver:
            yield f"booking {booking.id} at {booking.ver} was told as {numbers}"
        if mine[0].type != "booking.held":
            yield f"the first that was told of {booking.id} is {mine[0].type}"


def _story(seen: Seen, booking_id: str, status: str) -> Iterator[str]:
    yield "booking.held"
    for payment in seen.payments:
        if payment.booking_id != booking_id:
            continue
        if payment.failure is None:
            yield "booking.confirmed"
        if payment.failure == "declined":
            yield "payment.declined"
        if payment.status == "refunded":
            yield "payment.refunded"
    if status != "confirmed":
        yield f"booking.{status}"
