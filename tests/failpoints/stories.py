"""What people do, and at which points the system may die of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from skyhold.kernel.ids import new_id

from .stage import SOON_S, Stage

# The window to pay and the patience after it are over, and the hold is not yet.
GIVEN_UP_S = 16 * 60 + 5

Telling = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Story:
    """One thing that people do, with the points that it is about.

    `name:2` is the second time that the point is reached.
    """

    tell: Telling
    points: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    broker: bool = False

    @property
    def name(self) -> str:
        return self.tell.__name__

    @property
    def names(self) -> set[str]:
        """The points, however often they are reached."""
        return {point.partition(":")[0] for point in self.points}


STORIES: list[Story] = []


def story(*points: str, broker: bool = False, **settings: object) -> Callable[[Telling], Telling]:
    """Tell this at each of the points."""

    def add(tell: Telling) -> Telling:
        STORIES.append(Story(tell, points, settings, broker))
        return tell

    return add


RELEASED = ("release.before_release", "release.released", "release.in_close", "release.closed")
VOIDED = ("void.before_cancel", "void.cancel_answered", "void.in_void", "void.voided")
PAYING = (
    "pay.in_start",
    "pay.started",
    "pay.before_authorise",
    "pay.authorise_answered",
    "pay.in_move",
    "pay.moved",
    "pay.before_confirm",
    "pay.seats_confirmed",
    "pay.in_move:2",
    "pay.moved:2",
    "pay.before_capture",
    "pay.capture_answered",
    "pay.in_succeed",
    "pay.succeeded",
    # The first decision of the flight service was the hold.
    "flight.in_decide:2",
    "flight.decided:2",
)
BOOKING = (
    "book.before_hold",
    "book.held",
    "book.in_record",
    "book.recorded",
    "flight.in_decide",
    "flight.decided",
)


# --- booking -----------------------------------------------------------------------------------


@story(*BOOKING)
async def a_booking_with_a_key_is_asked_for_until_it_is_there(stage: Stage) -> None:
    booking = await stage.insist(lambda: stage.alice.book(stage.flight, party=2, key="mine"))
    assert booking.status == 201
    stage.promised(booking, "held")
    again = await stage.alice.book(stage.flight, party=2, key="mine")
    assert (again.status, again["id"]) == (201, booking["id"])


# Without a key nobody comes back for it; before the hold there is nothing to come back for.
@story("book.held", "book.in_record", "book.recorded", "flight.decided")
async def a_booking_without_a_key_is_given_up_and_made_anew(stage: Stage) -> None:
    booking = await stage.once(lambda: stage.alice.book(stage.flight, seats=["1A"]))
    if booking is None:
        booking = await stage.alice.book(stage.flight, seats=["2A"])
    assert booking.status == 201
    stage.promised(booking, "held")


@story("book.before_give_back", "book.given_back", "flight.in_decide:2", "flight.decided:2")
async def an_account_that_is_gone_books_nothing(stage: Stage) -> None:
    for table in ("refresh_tokens", "sessions", "users"):
        await stage.witnesses.do(stage.witnesses.booking, f"DELETE FROM {table}")  # noqa: S608
    refused = await stage.once(lambda: stage.alice.book(stage.flight))
    assert refused is None or refused.status == 401
    # The seats are given back behind the answer: they are free, or we have died of it.
    await stage.until(lambda seen: stage.deaths or {h.status for h in seen.holds} == {"released"})


# --- paying ------------------------------------------------------------------------------------


# Whether we die after a COMMIT or before the call that follows is the same to whoever comes back.
@story(*(point for point in PAYING if ".before_" not in point))
async def a_payment_is_asked_for_until_it_is_through(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight, party=2)
    stage.promised(booking, "held")
    paid = await stage.insist(lambda: stage.alice.pay(booking, key="mine"))
    assert paid.status in {200, 201, 202}
    stage.promised(booking, "confirmed")


@story(*PAYING)
async def a_payment_that_nobody_asks_for_again_is_carried_on(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    stage.promised(booking, "held")
    paid = await stage.once(lambda: stage.alice.pay(booking))
    # Once the intent is written down it is a matter of the driver alone.
    if paid is not None or stage.point != "pay.in_start":
        stage.promised(booking, "confirmed")


@story(
    "pay.in_start",
    "pay.started",
    "pay.before_authorise",
    "pay.authorise_answered",
    "pay.in_fail",
    "pay.failed",
    *VOIDED,
)
async def a_declined_payment_is_followed_by_a_good_one(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    declined = await stage.insist(lambda: stage.alice.pay(booking, "tok_declined", key="bad"))
    assert declined.status in {402, 202}
    stage.later(SOON_S)
    await stage.until(lambda seen: [p.status for p in seen.payments] == ["voided"])
    assert (await stage.alice.pay(booking, key="good")).status in {201, 202}
    stage.promised(booking, "confirmed")


@story("pay.capture_answered", "pay.in_fail", "pay.failed", *RELEASED)
async def a_capture_that_is_refused_gives_the_seats_back(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    refused = await stage.insist(lambda: stage.alice.pay(booking, "tok_capture_refused", key="k"))
    assert refused.status in {402, 202}
    stage.promised(booking, "cancelled")


@story(
    "pay.seats_gone",
    "pay.in_fail",
    "pay.failed",
    "flight.in_decide:3",
    "flight.decided:3",
    *VOIDED,
)
async def seats_that_are_gone_cost_nothing(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    assert (await stage.system.hold("DELETE", booking["id"])).status == 200
    gone = await stage.insist(lambda: stage.alice.pay(booking, key="mine"))
    assert gone.status in {409, 202}
    stage.promised(booking, "expired")


@story(
    "pay.in_postpone",
    "pay.postponed",
    "give_up.before_release",
    "give_up.released",
    "pay.in_fail",
    "pay.failed",
    *VOIDED,
    provider_timeout_s=0.5,
)
async def a_provider_that_never_answers_is_given_up(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    waiting = await stage.insist(lambda: stage.alice.pay(booking, "tok_never", key="mine"))
    assert waiting.status == 202
    stage.later(GIVEN_UP_S)
    stage.promised(booking, "expired")


@story("pay.in_wait", "pay.waits")
async def a_payer_who_has_to_approve_is_waited_for(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    waiting = await stage.insist(lambda: stage.alice.pay(booking, "tok_3ds", key="mine"))
    assert waiting.status == 202
    asked = await stage.until(lambda seen: [c.state for c in seen.charges] == ["requires_action"])
    await stage.approve(asked.charges[0].id)
    stage.promised(booking, "confirmed")


# --- cancelling, expiring ----------------------------------------------------------------------


@story("cancel.in_cancel", "cancel.cancelled", *RELEASED, "flight.in_decide:2", "flight.decided:2")
async def a_booking_is_cancelled_before_it_is_paid(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight)
    cancelled = await stage.insist(lambda: stage.alice.cancel(booking))
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    stage.promised(booking, "cancelled")


@story(
    "cancel.in_cancel",
    "cancel.cancelled",
    *RELEASED,
    "flight.in_decide:3",
    "flight.decided:3",
    "refund.before_refund",
    "refund.refund_answered",
    "refund.in_refund",
    "refund.refunded",
)
async def a_paid_booking_is_cancelled_and_refunded(stage: Stage) -> None:
    booking = await stage.paid(party=2)
    cancelled = await stage.insist(lambda: stage.alice.cancel(booking))
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    stage.promised(booking, "cancelled")
    await stage.until(lambda seen: [p.status for p in seen.payments] == ["refunded"])


@story("settle.in_postpone", "settle.postponed", "refund.refund_answered:2")
async def a_refund_that_fails_is_asked_for_again(stage: Stage) -> None:
    booking = await stage.paid("tok_refund_fails")
    cancelled = await stage.insist(lambda: stage.alice.cancel(booking))
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    stage.promised(booking, "cancelled")
    stage.later(SOON_S)
    await stage.until(lambda seen: [p.status for p in seen.payments] == ["refunded"])


@story("expire.in_expire", "expire.expired", *RELEASED, "flight.in_decide:2", "flight.decided:2")
async def what_nobody_pays_for_expires(stage: Stage) -> None:
    booking = await stage.alice.book(stage.flight, party=2)
    stage.later(15 * 60 + 1)
    await stage.until(lambda seen: [b.hold_open for b in seen.bookings] == [False])
    stage.promised(booking, "expired")


@story("flight.in_decide:2", "flight.decided:2")
async def a_hold_that_nobody_recorded_is_swept(stage: Stage) -> None:
    wanted = {"segments": [{"flight_id": stage.flight, "count": 3}], "ttl_s": 60}
    assert (await stage.system.hold("PUT", new_id(), wanted)).status == 201
    stage.later(61)
    await stage.until(lambda seen: [hold.status for hold in seen.holds] == ["expired"])


# --- telling -----------------------------------------------------------------------------------

RELAYED = ("relay.before_publish", "relay.published", "relay.in_mark", "relay.marked")
WRITTEN = ("letter.before_send", "letter.sent", "letter.in_note", "letter.noted")


@story(*RELAYED, "consume.received", "consume.handled", *WRITTEN)
async def a_traveller_is_told_of_the_booking(stage: Stage) -> None:
    booking = await stage.insist(lambda: stage.alice.book(stage.flight, key="mine"))
    stage.promised(booking, "held")
    await stage.until(lambda seen: len(seen.letters) == 1)


@story(
    "change.in_note",
    "change.noted",
    "change.in_tell",
    "change.told",
    "change.in_look_again",
    "change.looked_again",
    "refund.in_refund",
)
async def a_flight_is_cancelled_and_its_bookings_with_it(stage: Stage) -> None:
    paid = await stage.paid()
    held = await stage.alice.book(stage.flight)
    await stage.cancel_flight()
    for booking in (paid, held):
        stage.promised(booking, "cancelled")
    await stage.until(lambda seen: [p.status for p in seen.payments] == ["refunded"])


# --- with a broker -----------------------------------------------------------------------------


@story(
    *RELAYED, "consume.received", "consume.handled", "consume.acknowledged", *WRITTEN, broker=True
)
async def a_traveller_is_told_by_way_of_the_broker(stage: Stage) -> None:
    booking = await stage.insist(lambda: stage.alice.book(stage.flight, key="mine"))
    stage.promised(booking, "held")
    await stage.until(lambda seen: len(seen.letters) == 1)


@story("consume.before_send_back", "consume.sent_back", broker=True)
async def a_letter_that_cannot_go_out_comes_again(stage: Stage) -> None:
    stage.witnesses.mail.touch()  # where its folder should be
    booking = await stage.alice.book(stage.flight)
    stage.promised(booking, "held")
    await stage.until(lambda _: stage.deaths)
    stage.witnesses.mail.unlink()
    await stage.until(lambda seen: len(seen.letters) == 1)
