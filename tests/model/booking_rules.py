"""The booking service: what is to be done next, and its transactions. PROTOCOL §3, row by row.

A transaction answers the world after its commit, or None when its guard refuses: then it is rolled
back, and whoever tried it has lost a race. Nothing here reads more than the rows that it guards.
"""

from __future__ import annotations

from .mutations import Mutation
from .world import NEVER, Booking, Payment, World, booking_of_key, changed

BOOKING_NEXT = {
    "held": {"paying", "cancelled", "expired"},
    "paying": {"held", "confirmed", "expired", "cancelled"},
    "confirmed": {"cancelled"},
    "expired": set(),
    "cancelled": set(),
}
PAYMENT_NEXT = {
    "created": {"authorized", "void_due"},
    "authorized": {"capture_due", "void_due"},
    "capture_due": {"captured", "void_due"},
    "captured": {"refund_due"},
    "void_due": {"voided", "refund_due"},
    "voided": {"void_due"},  # these two rest, unless the provider has another word: `reopened`
    "refund_due": {"refunded"},
    "refunded": {"refund_due"},
}
ENDED = ("expired", "cancelled")


def next_step(booking: Booking, payment: Payment | None, late: int) -> str | None:
    """What the driver does for a booking; `late` is 1 from its deadline on, 2 from give-up on."""
    match booking.status:
        case "held":
            return "expire" if late >= 1 else None
        case "paying":
            return {
                "created": "give_up" if late == 2 else "authorise",
                "authorized": "confirm",
                "capture_due": "capture",
            }.get(payment.status)
        case "expired" | "cancelled":
            return "release" if booking.hold_open else None
    return None


def lateness(world: World, booking: Booking, give_up_after: int) -> tuple[int, ...]:
    """What a driver's clock may say of a booking. Where no clock is trusted, anything."""
    if booking.deadline == NEVER:
        return 0, 1, 2
    return ((world.now >= booking.deadline) + (world.now >= booking.deadline + give_up_after),)


# --- making a booking -----------------------------------------------------------------------------


def recorded(
    world: World, id: int, booking: Booking, mutation: Mutation | None, *, keyed: bool
) -> World | None:
    """INSERT, unless a booking stands under the key; a change of its flight is woken up."""
    unique = keyed and mutation is not Mutation.RECORD_WITHOUT_UNIQUE_KEY
    if world.bookings[id] is not None or (unique and booking_of_key(world) is not None):
        return None
    news = world.news
    sleeps = mutation is Mutation.RECORD_WITHOUT_WAKING
    unguarded = mutation is Mutation.NEWS_DONE_UNGUARDED and news == "looked"
    if news is not None and not (sleeps or unguarded):
        news = "due"
    return world._replace(bookings=changed(world.bookings, id, booking), news=news)


# --- paying ---------------------------------------------------------------------------------------


def paying_started(world: World, id: int, mutation: Mutation | None) -> World | None:
    """INSERT the next payment; held → paying, only before the deadline."""
    booking = world.bookings[id]
    new = next((p for p, payment in enumerate(world.payments) if payment is None), None)
    if booking is None or new is None:
        return None
    if booking.status != "held" and mutation is not Mutation.PAY_READ_THEN_WRITE:
        return None
    if booking.deadline <= world.now and mutation is not Mutation.PAY_AFTER_THE_DEADLINE:
        return None
    paying = booking._replace(status="paying", active=new)
    return world._replace(
        bookings=changed(world.bookings, id, paying),
        payments=changed(world.payments, new, Payment("created", id)),
    )


def moved(world: World, p: int, old: str, new: str) -> World | None:
    """Compare and set on a payment."""
    payment = world.payments[p]
    if payment is None or payment.status != old:
        return None
    return world._replace(payments=changed(world.payments, p, payment._replace(status=new)))


def stopped_paying(world: World | None, p: int, new: str) -> World | None:
    """Paying → `new`, only while this payment is the active one; part of a larger transaction."""
    if world is None:
        return None
    id = world.payments[p].of
    booking = world.bookings[id]
    if booking.status != "paying" or booking.active != p:
        return None
    stopped = booking._replace(status=new, active=None)
    return world._replace(bookings=changed(world.bookings, id, stopped))


# --- ending ---------------------------------------------------------------------------------------


def expired(world: World, id: int, mutation: Mutation | None) -> World | None:
    """Held → expired, once the deadline has passed."""
    booking = world.bookings[id]
    unread = mutation is Mutation.EXPIRE_READ_THEN_WRITE and booking.status == "paying"
    if booking.status != "held" and not unread:
        return None
    ended = booking._replace(status="expired")
    return world._replace(bookings=changed(world.bookings, id, ended))


def called_off(world: World, id: int, mutation: Mutation | None) -> World | None:
    """Held or confirmed → cancelled, by its owner or with its flight; what was paid is owed."""
    booking = world.bookings[id]
    paying = booking.status == "paying" and mutation is Mutation.CANCEL_WHILE_PAYING
    if booking.status not in {"held", "confirmed"} and not paying:
        return None
    ended = booking._replace(status="cancelled", active=None)
    after = world._replace(bookings=changed(world.bookings, id, ended))
    if booking.status != "confirmed" or mutation is Mutation.CANCEL_WITHOUT_REFUND:
        return after
    payer = next(p for p, pay in enumerate(world.payments) if pay == ("captured", id))
    return moved(after, payer, "captured", "refund_due")


def released(world: World, id: int) -> World | None:
    """The seats of an ended booking are given back."""
    booking = world.bookings[id]
    if booking is None or booking.status not in ENDED or not booking.hold_open:
        return None
    closed = booking._replace(hold_open=False)
    return world._replace(bookings=changed(world.bookings, id, closed))


# --- what is written for an answer ----------------------------------------------------------------

# The call and its answer: the payment's move, and where a paying booking goes with it.
WRITTEN = {
    ("authorise", "yes"): ("created", "authorized", None),
    ("authorise", "no"): ("created", "void_due", "held"),
    ("give_up", "ended"): ("created", "void_due", "expired"),
    ("confirm", "confirmed"): ("authorized", "capture_due", None),
    ("confirm", "gone"): ("authorized", "void_due", "expired"),
    ("capture", "yes"): ("capture_due", "captured", "confirmed"),
    ("capture", "no"): ("capture_due", "void_due", "cancelled"),
    ("void", "cancelled"): ("void_due", "voided", None),
    ("void", "captured"): ("void_due", "refund_due", None),
    ("refund", "refunded"): ("refund_due", "refunded", None),
}
# The same with a mistake in it.
MISTAKEN = {
    Mutation.AUTHORISED_AND_CONFIRMED_AT_ONCE: {
        ("authorise", "yes"): ("created", "created", None),
        ("confirm", "confirmed"): ("created", "capture_due", None),
        ("confirm", "gone"): ("created", "void_due", "expired"),
    },
    Mutation.DECLINED_WITHOUT_VOID: {("authorise", "no"): ("created", "voided", "held")},
    Mutation.VOID_IGNORES_CAPTURED: {("void", "captured"): ("void_due", "voided", None)},
}


def acted_upon(
    world: World, what: str, p: int, answer: str, mutation: Mutation | None
) -> World | None:
    """The transaction of a driver that was answered so."""
    mistaken = MISTAKEN.get(mutation, {})
    old, new, goes_to = mistaken.get((what, answer), WRITTEN[what, answer])
    after = moved(world, p, old, new)
    return after if goes_to is None else stopped_paying(after, p, goes_to)


# In which state of its payment an answer can still be acted upon.
WAITS_IN = {
    "authorise": ("created",),
    "give_up": ("created",),
    "confirm": ("created", "authorized"),
    "capture": ("capture_due",),
    "void": ("void_due",),
    "refund": ("refund_due",),
}


def reopened(world: World, p: int) -> World | None:
    """The provider has money after all of an attempt that was at rest: back it goes again."""
    match world.payments[p], world.provider[p]:
        case ("voided", _), "authorized" | "captured":
            return moved(world, p, "voided", "void_due")
        case ("refunded", _), "captured":
            return moved(world, p, "refunded", "refund_due")
    return None
