"""Whole minor units inside, a decimal string outside, and no rounding on the way."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skyhold.kernel.money import MINOR_MAX, Money, WireMoney, decimals

DECIMALS = {"JPY": 0, "KRW": 0, "USD": 2, "EUR": 2, "GBP": 2, "KWD": 3, "BHD": 3, "CLF": 4}

currencies = st.sampled_from(sorted(DECIMALS))
amounts = st.builds(Money, st.integers(0, MINOR_MAX - 1), currencies)


@pytest.mark.parametrize(("currency", "places"), DECIMALS.items())
def test_a_currency_has_its_own_number_of_decimals(currency, places):
    assert decimals(currency) == places


@given(amounts)
def test_what_is_written_is_read_back_the_same(money):
    assert Money.parse(money.amount, money.currency) == money
    wire = WireMoney.of(money).model_dump()
    assert wire == {"amount": money.amount, "currency": money.currency}
    assert WireMoney.model_validate(wire).money() == money


@given(amounts)
def test_the_amount_has_exactly_the_decimals_of_its_currency_and_the_right_value(money):
    places = DECIMALS[money.currency]
    assert Decimal(money.amount) == Decimal(money.minor).scaleb(-places)
    assert len(money.amount.partition(".")[2]) == places
    assert ("." in money.amount) == (places > 0)


@given(st.integers(0, 10**8), st.data())
def test_decimals_may_be_left_out_but_not_added(whole, data):
    currency, places = data.draw(st.sampled_from(sorted(DECIMALS.items())))
    assert Money.parse(str(whole), currency) == Money(whole * 10**places, currency)
    with pytest.raises(ValueError, match=r"decimals|must look like"):
        Money.parse(f"{whole}.{'0' * (places + 1)}", currency)


def test_money_reads_well():
    assert str(Money(12900, "USD")) == "129.00 USD"
    assert str(Money(5, "KWD")) == "0.005 KWD"
    assert str(Money(129, "JPY")) == "129 JPY"
    assert Money.parse("0.5", "USD") == Money(50, "USD")


@pytest.mark.parametrize(
    "amount",
    [
        *("", " ", " 1", "1\n", "1\0", "1.", ".5", "1.2.3", "1,00", "1_000"),
        *("-1", "+1", "1e3", "0x10", "NaN", "Infinity", "1" * 13),
        *("\N{FULLWIDTH DIGIT ONE}", "\N{ARABIC-INDIC DIGIT TWO}"),
    ],
    ids=repr,
)
def test_what_is_not_a_plain_amount_is_refused(amount):
    with pytest.raises(ValueError, match=r"must look like|more than"):
        Money.parse(amount, "USD")


def test_more_than_the_system_handles_is_refused():
    assert Money.parse("10000000000.00", "USD").minor == MINOR_MAX
    with pytest.raises(ValueError, match="more than this system handles"):
        Money.parse("10000000000.01", "USD")


@pytest.mark.parametrize("currency", ["", "usd", "US", "USDX", "ZZZ", "XAU", "XXX", "$", "840"])
def test_what_is_no_currency_with_decimals_is_refused(currency):
    with pytest.raises(ValueError, match="ISO 4217"):
        decimals(currency)
    with pytest.raises(ValueError, match="ISO 4217"):
        Money.parse("1", currency)


@pytest.mark.parametrize(
    "wire",
    [
        {"amount": 129, "currency": "USD"},
        {"amount": 129.0, "currency": "USD"},
        {"amount": "-1.00", "currency": "USD"},
        {"amount": "1.001", "currency": "USD"},
        {"amount": "1.00", "currency": "usd"},
        {"amount": "1.00"},
        {"amount": "1.00", "currency": "USD", "minor": 1},
        {"amount": None, "currency": "USD"},
        "129.00 USD",
    ],
    ids=repr,
)
def test_what_is_not_money_does_not_come_in_over_the_wire(wire):
    with pytest.raises(ValidationError):
        WireMoney.model_validate(wire)
