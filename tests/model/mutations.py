"""Mistakes that can be planted in the rules, one at a time. Each is one `if` where it belongs.

The value is the mistake in words, as it is printed and quoted in docs/reliability.md.
"""

from __future__ import annotations

from enum import Enum


class Mutation(Enum):
    """One mistake. The first seven are those that PROTOCOL §7.1 names."""

    RELEASE_UNDER_A_KEY = "a hold is released under a key when its answer is lost"
    UNFENCED_RELEASE = "a release frees its seats whoever has them now"
    CAPTURE_BEFORE_CONFIRM = "capture before the seats are confirmed"
    CANCEL_WHILE_PAYING = "cancel while paying"
    VOID_WITHOUT_TOMBSTONE = "the provider forgets a cancel that came before its authorisation"
    AUTHORISED_AND_CONFIRMED_AT_ONCE = "authorised and confirmed recorded in one step"
    DELETE_WITHOUT_TOMBSTONE = "DELETE of an unknown hold leaves no tombstone"

    # The flight service.
    RELEASE_TAKES_CONFIRMED = "a plain release takes confirmed seats"
    CONFIRM_AFTER_THE_END = "confirm ignores that the hold's time is up"
    CONFIRM_ON_CANCELLED_FLIGHT = "a hold on a cancelled flight is confirmed"
    SWEEP_UNGUARDED = "the sweeper writes what it read: it ends a hold confirmed meanwhile"
    RESOLD_WITHOUT_ENDING = "an overdue seat is sold without ending the hold that has it"
    REQUEST_NOT_COMPARED = "PUT of another request under a known id answers with the hold"

    # The booking service.
    RECORD_WITHOUT_UNIQUE_KEY = "two bookings may stand under one key"
    RELEASE_AFTER_UNKNOWN_COMMIT = "a record whose commit is unknown counts as failed"
    DEADLINE_FROM_AFTER_THE_CALL = "the deadline is counted from after the call"
    PAY_AFTER_THE_DEADLINE = "a payment starts without looking at the deadline"
    PAY_READ_THEN_WRITE = "start paying reads, then writes"
    EXPIRE_READ_THEN_WRITE = "the expiry reads, then writes"
    EXPIRE_BEFORE_THE_DEADLINE = "expire without looking at the deadline"
    DECLINED_WITHOUT_VOID = "a declined attempt counts as voided without asking the provider"
    VOID_IGNORES_CAPTURED = "a void ignores that the money was captured"
    CANCEL_WITHOUT_REFUND = "cancelling a paid booking owes no refund"
    NEVER_RELEASED = "an ended booking counts as released without asking"
    GIVE_UP_NEVER = "nobody gives an authorisation up that does not answer"
    NEWS_DONE_AT_ONCE = "a flight's change is done while a booking is still being recorded"
    NEWS_READ_TOO_EARLY = "who is left to tell is read before older transactions have ended"
    NEWS_READ_IN_TWO = "who is left to tell is read in two queries"
    NEWS_DONE_UNGUARDED = "a flight's change is done although a booking woke it meanwhile"
    RECORD_WITHOUT_WAKING = "recording a booking does not wake the change of its flight"

    # One that does no harm: see test_mutations.
    GIVE_UP_WITHOUT_ASKING = "give up without asking the flight service"
