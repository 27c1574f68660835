"""`skyhold booking create-staff` and `revoke-staff`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel

from skyhold import booking
from skyhold.booking.models.user import Role
from skyhold.booking.schemas.users import Email, NewUser
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import BookingService
from skyhold.kernel import logging

from .databases import ready_booking
from .running import console, refusals

Out = TypeVar("Out")

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="What they log in with.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")]


class _Whom(BaseModel):
    email: Email


def create_staff(
    address: Address,
    name: Annotated[str | None, typer.Option(help="Of a new account; asked for.")] = None,
    password: Annotated[str | None, typer.Option(help="Of a new account; asked for.")] = None,
    yes: Yes = False,
) -> None:
    """Let somebody log in as staff: with the account they have, or with a new one.

    An account that is there keeps its name and password, and its sessions end.
    """
    with refusals():
        email = _Whom(email=address).email
        settings = _ready()
        if asyncio.run(_ask(settings, lambda service: service.staffing.find(email))) is None:
            who = NewUser(
                name=name or typer.prompt("Name"),
                email=email,
                password=password
                or typer.prompt("Password", hide_input=True, confirmation_prompt=True),
            )
            asyncio.run(_ask(settings, lambda service: _register(service, who)))
        else:
            if not yes:
                typer.confirm(f"{email} has an account. Make it staff, and log it out?", abort=True)
            asyncio.run(_ask(settings, lambda service: service.staffing.promote(email)))
        console.print(f"{email} may now log in as staff.")


def revoke_staff(address: Address) -> None:
    """Make a customer of a member of the staff; their sessions end."""
    with refusals():
        email = _Whom(email=address).email
        settings = _ready()
        asyncio.run(_ask(settings, lambda service: service.staffing.revoke(email)))
        console.print(f"{email} is a customer now.")


def _ready() -> BookingSettings:
    settings = BookingSettings()
    logging.configure(settings.log_level)
    asyncio.run(ready_booking(settings, migrate=False))
    return settings


async def _register(service: BookingService, who: NewUser) -> None:
    await service.users.register(who.name, who.email, who.password, role=Role.STAFF)


async def _ask(
    settings: BookingSettings, question: Callable[[BookingService], Awaitable[Out]]
) -> Out:
    service = booking.wiring.wire(settings)
    try:
        return await question(service)
    finally:
        await service.close()
