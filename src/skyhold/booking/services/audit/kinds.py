"""What can disagree, why it does, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of disagreement."""

    # Between bookings, holds and claims.
    SEATS_GONE = "seats_gone"
    HOLD_MISSING = "hold_missing"
    HOLD_NOT_CONFIRMED = "hold_not_confirmed"
    HELD_WITHOUT_SEATS = "held_without_seats"
    HELD_BUT_SOLD = "held_but_sold"
    SEATS_KEPT = "seats_kept"
    SEATS_OF_NOBODY = "seats_of_nobody"
    HOLD_OVER = "hold_over"
    SEATS_DIFFER = "seats_differ"
    CLAIMS_LEFT = "claims_left"
    CLAIMS_MISSING = "claims_missing"
    # Within the booking database.
    BOOKING_STUCK = "booking_stuck"
    PAYMENT_STUCK = "payment_stuck"
    PAYING_ADRIFT = "paying_adrift"
    PAYMENT_ADRIFT = "payment_adrift"
    CONFIRMED_UNPAID = "confirmed_unpaid"
    PAID_TWICE = "paid_twice"
    MONEY_KEPT = "money_kept"
    AMOUNTS_DIFFER = "amounts_differ"
    EVENTS_WAIT = "events_wait"
    # Between our payments and the provider's.
    MONEY_STILL_THERE = "money_still_there"
    NOT_CAPTURED_THERE = "not_captured_there"
    REFUNDED_THERE = "refunded_there"
    UNKNOWN_PAYMENT = "unknown_payment"


class Repair(StrEnum):
    """What is done about a disagreement; the last two are not for a machine."""

    GIVE_SEATS_BACK = "give_seats_back"
    LOOK_NOW = "look_now"
    WAKE_PAYMENT = "wake_payment"
    REFUND = "refund"
    VOID = "void"
    CANCEL_HOLD = "cancel_hold"
    CONFIRM_HOLD = "confirm_hold"
    HOLD_AGAIN = "hold_again"
    MEND_CLAIMS = "mend_claims"
    WAIT = "wait"
    PERSON = "person"


DONE_BY_HAND = frozenset({Repair.WAIT, Repair.PERSON})

# What `--repair` does, for whoever has to say yes to it.
DOES: Mapping[Repair, str] = {
    Repair.GIVE_SEATS_BACK: "mark the seats as still to be given back; the driver does it",
    Repair.LOOK_NOW: "let the driver look at the booking now",
    Repair.WAKE_PAYMENT: "let the driver look at the payment; what the provider has goes back",
    Repair.REFUND: "owe the money back; the driver refunds it",
    Repair.VOID: "give the attempt up; the driver voids it, or refunds what was captured",
    Repair.CANCEL_HOLD: "cancel the hold: its seats are for sale again",
    Repair.CONFIRM_HOLD: "confirm the hold",
    Repair.HOLD_AGAIN: "hold and confirm the same seats again, if nobody else has one of them",
    Repair.MEND_CLAIMS: "let the seat claims be what the hold says",
}


@dataclass(frozen=True, slots=True)
class Lore:
    """What is known of a kind: how it comes about, and what it means for people."""

    cause: str
    remedy: str


_RESTORED = "a database was restored from an older backup"
_BY_HAND = "rows were changed by hand"
_DEFECT = "a defect of ours: please report it"

LORE: Mapping[Kind, Lore] = {
    Kind.SEATS_GONE: Lore(
        f"the hold has ended under a booking that is paid: {_RESTORED}, or {_BY_HAND}",
        "its seats may be sold to others: book the traveller on other seats and cancel this "
        "booking, or cancel it so that it is refunded",
    ),
    Kind.HOLD_MISSING: Lore(
        "the flight service has lost the hold: its database was restored from an older backup",
        "its seats are for sale: take them again before others do; where they are sold already, "
        "book other seats and cancel this booking",
    ),
    Kind.HOLD_NOT_CONFIRMED: Lore(
        "the flight service has forgotten the confirmation: its database was restored from an "
        "older backup",
        "confirm the hold before its time is up",
    ),
    Kind.HELD_WITHOUT_SEATS: Lore(
        "the hold ended before the time to pay was over: a clock jumped, or the flight database "
        "was restored",
        "nobody will be charged: paying is refused, and the booking expires at its deadline",
    ),
    Kind.HELD_BUT_SOLD: Lore(
        "the payment of this booking is not known here: the booking database was restored from an "
        "older backup",
        "find its money among the provider's payments that are unknown here; book and refund by "
        "hand. The booking expires at its deadline; its seats stay confirmed until a person "
        "cancels the hold",
    ),
    Kind.SEATS_KEPT: Lore(
        f"the hold is live although its seats were given back: {_RESTORED}",
        "the seats are held for nobody: give them back once more",
    ),
    Kind.SEATS_OF_NOBODY: Lore(
        "a confirmed hold without a booking: the booking database was restored from an older "
        "backup and has lost the booking",
        "find out whose it was (the provider's list of payments); book and refund by hand, then "
        "cancel the hold",
    ),
    Kind.HOLD_OVER: Lore(
        "no flight worker has ended the hold although its time is up",
        "start `skyhold flight worker`; the seats can be sold all the same",
    ),
    Kind.SEATS_DIFFER: Lore(
        f"booking and hold name other seats: {_BY_HAND}, or {_DEFECT}",
        "the seats of the hold are the traveller's: tell them, or book anew and cancel this one",
    ),
    Kind.CLAIMS_LEFT: Lore(
        f"seats are claimed for a hold that does not have them: {_BY_HAND}, or a backup was "
        "restored in parts",
        "nobody can buy these seats: free them",
    ),
    Kind.CLAIMS_MISSING: Lore(
        f"seats of a live hold are not claimed for it: {_BY_HAND}, or a backup was restored in "
        "parts",
        "the seats can be sold a second time: claim them; where they were sold, book one of the "
        "travellers anew",
    ),
    Kind.BOOKING_STUCK: Lore(
        "the driver should have carried it on long ago: no booking worker runs, or what it calls "
        "does not answer",
        "see that `skyhold booking worker` runs, and its log for booking.postponed",
    ),
    Kind.PAYMENT_STUCK: Lore(
        "money should have been given back long ago: no booking worker runs, or the provider "
        "refuses or does not answer",
        "see that `skyhold booking worker` runs, and its log for payment.postponed; do not refund "
        "by hand what the worker would refund again",
    ),
    Kind.PAYING_ADRIFT: Lore(
        f"the booking is being paid by a payment that has ended: {_BY_HAND}, or {_DEFECT}",
        "look at it with `skyhold booking show`; nothing of it can go on by itself",
    ),
    Kind.PAYMENT_ADRIFT: Lore(
        f"nobody carries this payment on, as no booking is being paid by it: {_BY_HAND}, or "
        f"{_DEFECT}",
        "give it up, so that whatever the provider has of it goes back",
    ),
    Kind.CONFIRMED_UNPAID: Lore(
        f"the booking is confirmed, and no payment for it was captured: {_BY_HAND}, or {_DEFECT}",
        "collect the money, or cancel the booking",
    ),
    Kind.PAID_TWICE: Lore(
        f"two payments for one booking were captured: {_BY_HAND}, or {_DEFECT}",
        "refund the later one",
    ),
    Kind.MONEY_KEPT: Lore(
        f"a payment is captured, and its booking is not confirmed: {_BY_HAND}, or {_DEFECT}",
        "refund it",
    ),
    Kind.AMOUNTS_DIFFER: Lore(
        f"what was charged is not what was agreed: {_BY_HAND}, or somebody changed it at the "
        "provider's",
        "refund or collect the difference at the provider's",
    ),
    Kind.EVENTS_WAIT: Lore(
        "events are not published: the broker is out of reach, or no worker runs",
        "see that RabbitMQ answers and a booking worker runs; they go out by themselves then",
    ),
    Kind.MONEY_STILL_THERE: Lore(
        "the payment was given up or refunded here, and the provider still has the money: it "
        "succeeded late, a refund came back, or the provider's books are older than ours",
        "wake it: the driver voids or refunds it",
    ),
    Kind.NOT_CAPTURED_THERE: Lore(
        "we have captured it and the provider has not: its books are older than ours, or it is "
        "another account",
        "see the payment in the provider's own records; collect the money anew, or cancel the "
        "booking",
    ),
    Kind.REFUNDED_THERE: Lore(
        "it was refunded at the provider's, and the booking stands: somebody refunded it there, "
        "or the booking database was restored to before a cancellation",
        "cancel the booking if that was meant; otherwise collect the money anew",
    ),
    Kind.UNKNOWN_PAYMENT: Lore(
        "the provider has money for a payment that is not known here, or a second one under an id "
        "of ours: the booking database was restored from an older backup",
        "refund it at the provider's, or book anew for whoever paid",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: about what, how things stand, and the repair that fits this case."""

    kind: Kind
    says: str
    repair: Repair
    booking_id: str | None = None
    record_locator: str | None = None
    payment_id: str | None = None
    seats: str | None = None

    @property
    def ids(self) -> dict[str, str]:
        """What it is about; a hold has the id of its booking."""
        named = {
            "booking_id": self.booking_id,
            "record_locator": self.record_locator,
            "payment_id": self.payment_id,
            "seats": self.seats,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def is_repairable(self) -> bool:
        """Whether `--repair` does something about it."""
        return self.repair not in DONE_BY_HAND
