"""Paying, as the public sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

from skyhold.booking.errors import CardDataNotAccepted
from skyhold.booking.services.look import View
from skyhold.booking.services.pay import Paid, Wish
from skyhold.kernel.ids import UUID
from skyhold.kernel.types import Matching

from .bookings import BookingOut
from .payment_out import PaymentOut

# A card number is 13 to 19 digits (ISO/IEC 7812), often written in groups. Only a value that is
# nothing else counts: a long id may well have a run of digits that pass the check.
_MAYBE_CARD = re.compile(r"\s*(?:[0-9][ ._:-]?){12,18}[0-9]\s*")


class NewPayment(BaseModel):
    """Pay this booking with a token of the payment provider; never with card data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    booking_id: Annotated[StrictStr, UUID]
    payment_token: Annotated[
        StrictStr,
        Field(min_length=1, max_length=255, examples=["tok_visa"]),
        Matching(r"[A-Za-z0-9_.:-]+", says="must be a token of the payment provider"),
    ]

    @model_validator(mode="before")
    @classmethod
    def _no_cards(cls, body: Any) -> Any:  # noqa: ANN401 - whatever was sent
        if any(_is_card(value) for value in _leaves(body)):
            raise CardDataNotAccepted
        return body

    def wish(self) -> Wish:
        """What the customer wants."""
        return Wish(self.booking_id, self.payment_token)


class PaidOut(PaymentOut):
    """The payment, with the booking as it is now."""

    booking: BookingOut

    @classmethod
    def answer(cls, paid: Paid, view: View) -> PaidOut:
        """The public form of a payment and its booking."""
        payment = PaymentOut.of(paid.payment)
        return cls(**dict(payment), booking=BookingOut.of(view))


RETRY_AFTER_S = 2


def status_of(paid: Paid) -> int:
    """201 when this request paid, 200 when it was paid before, 202 while it is being settled."""
    if not paid.settled:
        return 202
    return 200 if paid.was_paid_before else 201


def _leaves(value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever was sent
    """Every string, number and member name in a JSON value, however deep."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as members:
                waiting.extend((*members, *members.values()))
            case list() as items:
                waiting.extend(items)
            case str() | int() as leaf:
                yield str(leaf)


def _is_card(value: str) -> bool:
    return _MAYBE_CARD.fullmatch(value) is not None and _luhn(re.sub("[^0-9]", "", value))


def _luhn(digits: str) -> bool:
    """The check of ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0  # noqa: PLR2004
