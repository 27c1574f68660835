"""The protocol keeps its laws: in every state that a scenario can reach."""

from __future__ import annotations

import pytest

from . import booking_rules, flight_rules
from .scenarios import ALL, CLOCK, FORGETFUL, PAYING
from .world import A0, RIVAL

NAMES = [scenario.name for scenario in ALL]


@pytest.mark.parametrize("name", NAMES)
def test_no_law_is_broken_and_every_story_ends_well(seen, name):
    found = seen[name]
    print(
        f"\n{name}: {found.states:,} states, {found.steps:,} steps, {found.seconds:.1f} s", end=""
    )
    assert found.violation is None, str(found.violation)


def test_the_scenarios_are_explored_and_not_cut_short(seen):
    """A mistake that makes most of the model unreachable would otherwise look like success."""
    total = sum(seen[name].states for name in NAMES)
    print(f"\nall: {total:,} states, {sum(seen[name].seconds for name in NAMES):.1f} s", end="")
    assert total > 50_000


def test_every_move_that_a_state_allows_is_made_somewhere(seen):
    allowed = {
        (what, old, new)
        for what, table in (
            ("holds", flight_rules.NEXT),
            ("bookings", booking_rules.BOOKING_NEXT),
            ("payments", booking_rules.PAYMENT_NEXT),
        )
        for old, followers in table.items()
        for new in followers
    }
    assert set.union(*(seen[name].moves for name in NAMES)) == allowed


def test_only_a_provider_that_breaks_its_promise_makes_a_payment_leave_its_rest(seen):
    reopened = {("payments", "voided", "void_due"), ("payments", "refunded", "refund_due")}
    assert {name for name in NAMES if seen[name].moves & reopened} == {FORGETFUL.name}


def test_every_end_is_reached(seen):
    """Paid and unpaid, by each party's doing; with seats bought by the rival as well."""
    ends = {
        (file.booking.status, tuple(payment and payment.status for payment in file.payments))
        for file in seen[PAYING.name].files
    }
    assert ends >= {
        ("confirmed", ("captured", None)),
        ("confirmed", ("voided", "captured")),
        ("cancelled", ("refunded", None)),
        ("cancelled", ("voided", "voided")),
        ("expired", ("voided", "voided")),
        ("expired", (None, None)),
    }
    holds = {
        (office.holds[A0].status, office.holds[RIVAL] and office.holds[RIVAL].status)
        for office in seen[PAYING.name].offices
    }
    assert holds >= {("expired", "confirmed"), ("cancelled", "confirmed"), ("confirmed", None)}


def test_with_a_clock_everything_can_come_too_late(seen):
    """Otherwise the laws about moments would hold for want of anything to judge."""
    found = seen[CLOCK.name]
    statuses_late = {
        file.booking.status for file in found.files if file.booking.deadline < file.now
    }
    assert statuses_late >= {"held", "paying", "confirmed"}
    assert any(
        hold is not None and hold.status == "held" and hold.ends < office.now
        for office in found.offices
        for hold in office.holds
    )
