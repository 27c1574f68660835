"""Money: whole minor units inside, a decimal string with its currency outside.

>>> str(Money(12900, "USD"))
'129.00 USD'
>>> Money.parse("129", "JPY").minor
129
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from iso4217 import Currency
from pydantic import BaseModel, ConfigDict, Field, model_validator

MINOR_MAX = 10**12
AMOUNT = r"[0-9]{1,13}(\.[0-9]{1,4})?"
KEPT_MAX = 10_000  # amounts: there are few different ones, read and written again and again
_AMOUNT = re.compile(AMOUNT)
CURRENCIES = sorted(str(one.code) for one in Currency if one.exponent is not None)


@cache
def decimals(currency: str) -> int:
    """How many decimals a currency has (ISO 4217: 2 for USD, 0 for JPY, 3 for KWD).

    Raises ValueError for a code that is no currency.
    """
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        msg = "the currency must be a code of ISO 4217, such as USD"
        raise ValueError(msg)
    return exponent


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole minor units (cents) and its ISO 4217 currency."""

    minor: int
    currency: str

    @classmethod
    @lru_cache(maxsize=KEPT_MAX)
    def parse(cls, amount: str, currency: str) -> Money:
        """Read "129.00". Raises ValueError on a sign, an exponent, or too many decimals."""
        places = decimals(currency)
        if not _AMOUNT.fullmatch(amount):
            msg = "the amount must look like 129.00"
            raise ValueError(msg)
        whole, _, fraction = amount.partition(".")
        if len(fraction) > places:
            msg = f"{currency} has {places} decimals, the amount has {len(fraction)}"
            raise ValueError(msg)
        minor = int(whole + fraction.ljust(places, "0"))
        if minor > MINOR_MAX:
            msg = "the amount is more than this system handles"
            raise ValueError(msg)
        return cls(minor, currency)

    @property
    def amount(self) -> str:
        """The amount with exactly the currency's number of decimals."""
        places = decimals(self.currency)
        if places == 0:
            return str(self.minor)
        whole, fraction = divmod(self.minor, 10**places)
        return f"{whole}.{fraction:0{places}}"

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class WireMoney(BaseModel):
    """Money as it crosses the wire: `{"amount": "129.00", "currency": "USD"}`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    amount: str = Field(examples=["129.00"], json_schema_extra={"pattern": f"^{AMOUNT}$"})
    currency: str = Field(
        description="ISO 4217", examples=["USD"], json_schema_extra={"enum": [*CURRENCIES]}
    )

    @model_validator(mode="after")
    def _is_money(self) -> WireMoney:
        Money.parse(self.amount, self.currency)
        return self

    @classmethod
    @lru_cache(maxsize=KEPT_MAX)
    def of(cls, money: Money) -> WireMoney:
        """The wire form of an amount."""
        return cls.model_construct(amount=money.amount, currency=money.currency)

    def money(self) -> Money:
        """The amount in minor units."""
        return Money.parse(self.amount, self.currency)
