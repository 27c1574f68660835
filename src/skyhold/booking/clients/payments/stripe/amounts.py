"""Amounts as Stripe counts them, which is not always as ISO 4217 does.

The rules are those of https://docs.stripe.com/currencies ("Minor units in API amounts"). Where
Stripe's unit for a currency is not beyond doubt the currency is refused: an amount that is wrong by
a factor of a hundred is worse than none.
"""

from __future__ import annotations

from skyhold.kernel.money import MINOR_MAX, Money, decimals

# Without UGX, which Stripe lists here and as one that is given in hundredths.
NO_DECIMALS = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a list
)
THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# Kept by Stripe at two decimals, which must be 00, though the currency has none any more.
WHOLE_BUT_IN_HUNDREDTHS = frozenset({"ISK"})


class Unchargeable(Exception):
    """An amount that cannot be charged by Stripe; says why."""


def to_stripe(money: Money) -> int:
    """The amount in Stripe's minor units. Raises Unchargeable."""
    ours, theirs = decimals(money.currency), _decimals(money.currency)
    amount: int
    amount, rest = divmod(money.minor * 10**theirs, 10**ours)
    if rest:
        msg = f"{money.currency} can only be charged in whole units, not {money.amount}"
        raise Unchargeable(msg)
    if money.currency in THREE_DECIMALS and amount % 10:
        msg = f"the last of the three decimals of {money} must be 0, or the card networks refuse it"
        raise Unchargeable(msg)
    return amount


def from_stripe(amount: int, currency: str) -> Money:
    """The amount in our minor units. Raises Unchargeable, ValueError when it makes no sense."""
    code = currency.upper()
    ours, theirs = decimals(code), _decimals(code)
    minor, rest = divmod(amount * 10**ours, 10**theirs)
    if rest or not 0 <= minor <= MINOR_MAX:
        msg = f"an amount of {amount} in {code}"
        raise ValueError(msg)
    return Money(minor, code)


def _decimals(currency: str) -> int:
    """How many decimals Stripe's amounts have in this currency."""
    if currency in NO_DECIMALS:
        return 0
    if currency in THREE_DECIMALS:
        return 3
    if currency in WHOLE_BUT_IN_HUNDREDTHS:
        return 2
    if decimals(currency) != 2:  # noqa: PLR2004 - cents
        msg = f"it is not certain how Stripe counts amounts in {currency}"
        raise Unchargeable(msg)
    return 2
