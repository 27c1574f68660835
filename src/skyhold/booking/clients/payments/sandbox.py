"""The sandbox provider, as the booking service sees it: its ledger inside, or a process elsewhere.

What its tokens do stands in skyhold.sandbox.ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode

from skyhold.kernel.client import Reply, ServiceClient, Unknown
from skyhold.kernel.money import Money
from skyhold.sandbox.ledger import Payment
from skyhold.sandbox.moves import State

from .port import Answer, Charge, Entry, NextAction, ProviderState

PAGE_MAX = 500


class Books(Protocol):
    """What is asked of a ledger, near or far; None where there is no such payment."""

    async def authorise(self, id: str, amount: Money, token: str) -> Payment:
        """Reserve the amount."""
        ...

    async def capture(self, id: str) -> Payment | None:
        """Collect it."""
        ...

    async def cancel(self, id: str) -> Payment:
        """Drop it."""
        ...

    async def refund(self, id: str) -> Payment | None:
        """Give it back."""
        ...

    async def get(self, id: str) -> Payment | None:
        """Where it stands."""
        ...

    async def page(self, *, after: str, since: datetime | None, limit: int) -> Sequence[Payment]:
        """The payments with the next ids."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class SandboxProvider:
    """Implements the provider port over the sandbox's books."""

    name = "sandbox"

    def __init__(self, books: Books) -> None:
        self._books = books

    async def authorise(self, charge: Charge) -> Answer:
        """Reserve the amount, as the token says."""
        payment = await self._books.authorise(charge.id, charge.amount, charge.token)
        # What was cancelled before it arrived has no amount; anything else has the one asked for.
        if payment.amount != charge.amount and payment.state is not State.CANCELLED:
            msg = "the provider told of another amount"
            raise Unknown(msg)
        return _answer(payment)

    async def capture(self, charge: Charge) -> Answer:
        """Collect the reserved amount."""
        return _answer(await self._books.capture(charge.id))

    async def cancel(self, charge: Charge) -> Answer:
        """Drop the reservation; of an unknown payment, remember that it must never be made."""
        return _answer(await self._books.cancel(charge.id))

    async def refund(self, charge: Charge) -> Answer:
        """Give the captured amount back."""
        return _answer(await self._books.refund(charge.id))

    async def get(self, charge: Charge) -> Answer | None:
        """Where the payment stands."""
        payment = await self._books.get(charge.id)
        return None if payment is None else _answer(payment)

    async def ledger(self, since: datetime | None) -> AsyncIterator[Entry]:
        """Every payment, by their ids."""
        after = ""
        while page := await self._books.page(after=after, since=since, limit=PAGE_MAX):
            for payment in page:
                state = ProviderState(payment.state)
                yield Entry(payment.id, state, payment.amount, payment.created_at, None)
            after = page[-1].id

    async def close(self) -> None:
        """Close the ledger, or the way to it."""
        await self._books.close()


def _answer(payment: Payment | None) -> Answer:
    if payment is None:
        # It may well be in another ledger, so this says nothing about the payment.
        msg = "no such payment in this ledger; do all processes share DATA_DIR, or SANDBOX_URL?"
        raise Unknown(msg)
    page = payment.challenge
    action = None if page is None else NextAction("redirect", page, None)
    return Answer(ProviderState(payment.state), next_action=action)


class RemoteBooks:
    """The same over HTTP: `skyhold sandbox serve`. Each call raises Unknown without an answer."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def authorise(self, id: str, amount: Money, token: str) -> Payment:
        """Reserve the amount."""
        body = {"amount_minor": amount.minor, "currency": amount.currency, "token": token}
        return _payment(await self._client.call("PUT", _path(id), body), id)

    async def capture(self, id: str) -> Payment | None:
        """Collect it."""
        return _payment_or_none(await self._client.call("POST", f"{_path(id)}/capture"), id)

    async def cancel(self, id: str) -> Payment:
        """Drop it."""
        return _payment(await self._client.call("POST", f"{_path(id)}/cancel"), id)

    async def refund(self, id: str) -> Payment | None:
        """Give it back."""
        return _payment_or_none(await self._client.call("POST", f"{_path(id)}/refund"), id)

    async def get(self, id: str) -> Payment | None:
        """Where it stands."""
        return _payment_or_none(await self._client.call("GET", _path(id)), id)

    async def page(self, *, after: str, since: datetime | None, limit: int) -> Sequence[Payment]:
        """The payments with the next ids."""
        query: dict[str, object] = {"after": after, "limit": limit}
        if since is not None:
            query["since"] = since.isoformat()
        reply = await self._client.call("GET", f"/v1/payments?{urlencode(query)}")
        found = reply.body.get("data")
        if reply.status != HTTPStatus.OK or not isinstance(found, list):
            msg = f"status {reply.status} to a question for payments"
            raise Unknown(msg)
        return [_read(each) for each in found]

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


def _path(id: str) -> str:
    return f"/v1/payments/{id}"


def _payment_or_none(reply: Reply, id: str) -> Payment | None:
    missing = reply.status == HTTPStatus.NOT_FOUND and reply.body.get("code") == "payment_not_found"
    return None if missing else _payment(reply, id)


def _payment(reply: Reply, id: str) -> Payment:
    if reply.status != HTTPStatus.OK:
        msg = f"status {reply.status}, {reply.body.get('code')}"
        raise Unknown(msg)
    payment = _read(reply.body)
    if payment.id != id:
        msg = "the provider told of another payment"
        raise Unknown(msg)
    return payment


def _read(told: Any) -> Payment:  # noqa: ANN401 - whatever the other side sent
    try:
        action, minor = told["next_action"], told["amount_minor"]
        if type(minor) is not int or minor < 0:
            msg = "an amount that is none"
            raise Unknown(msg)
        return Payment(
            id=told["id"],
            state=State(told["state"]),
            amount=Money(minor, str(told["currency"])),
            created_at=datetime.fromisoformat(told["created_at"]),
            challenge=None if action is None else str(action["url"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = "an answer that is not a payment"
        raise Unknown(msg) from error
