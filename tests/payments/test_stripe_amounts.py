"""Amounts in Stripe's units: by its own rules, and not at all where those are not certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.booking.clients.payments.stripe.amounts import (
    NO_DECIMALS,
    THREE_DECIMALS,
    Unchargeable,
    from_stripe,
    to_stripe,
)
from skyhold.kernel.money import Money

CHARGED = {
    "cents": ("129.00", "USD", 12_900),
    "a currency without decimals": ("500", "JPY", 500),
    "one that ISO 4217 gives two": ("500.00", "MGA", 500),
    "one that has none any more but is counted in hundredths": ("5", "ISK", 500),
    "two decimals, though payouts have none": ("45.00", "HUF", 4_500),
    "three decimals": ("5.120", "KWD", 5_120),
}


@pytest.mark.parametrize(("amount", "currency", "units"), CHARGED.values(), ids=CHARGED)
def test_an_amount_is_sent_in_the_units_of_stripe_and_read_back(amount, currency, units):
    money = Money.parse(amount, currency)
    assert to_stripe(money) == units
    assert from_stripe(units, currency.lower()) == money


REFUSED = {
    "a third decimal that card networks do not take": ("5.124", "KWD"),
    "a part of a unit that cannot be charged": ("500.50", "MGA"),
    "one listed both ways": ("500", "UGX"),
    "three decimals that Stripe does not know": ("5.000", "IQD"),
    "four": ("5.0000", "CLF"),
    "none, and not on Stripe's list": ("5", "UYI"),
}


@pytest.mark.parametrize(("amount", "currency"), REFUSED.values(), ids=REFUSED)
def test_an_amount_that_may_be_wrong_is_not_sent(amount, currency):
    with pytest.raises(Unchargeable, match=currency):
        to_stripe(Money.parse(amount, currency))


CURRENCIES = ["USD", "EUR", "ISK", "MGA", *sorted(NO_DECIMALS), *sorted(THREE_DECIMALS)]


@given(st.integers(0, 10**9), st.sampled_from(CURRENCIES))
def test_what_is_sent_is_what_is_read_back(minor, currency):
    money = Money(minor, currency)
    try:
        units = to_stripe(money)
    except Unchargeable:
        assert minor % 100, "only the last digits can be in the way"
        return
    assert from_stripe(units, currency.lower()) == money


def test_an_amount_of_stripes_that_is_none_of_ours_is_not_guessed():
    with pytest.raises(ValueError, match="550 in ISK"):
        from_stripe(550, "isk")
