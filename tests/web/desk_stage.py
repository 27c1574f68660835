"""Somebody who works at the desk, and travellers to look up."""

from __future__ import annotations

import itertools

from web_stage import Reader

from skyhold.booking.models.user import Role
from support.system import PASSWORD

_serials = itertools.count(1)


async def at_the_desk(system) -> Reader:
    """A member of the staff who has signed in by the form."""
    email = f"desk-{next(_serials)}@example.com"
    await system.bookings.users.register("Stan", email, PASSWORD, role=Role.STAFF)
    reader = Reader(system)
    form = (await reader.open("/sign-in")).form("/sign-in")
    page = await reader.send(form, email=email, password=PASSWORD)
    assert "Desk" in page.text
    return reader


async def a_booking(person, flight, *names: str, seats=None):
    """A traveller's booking for people of these surnames."""
    party = [{"given_name": "Ada", "family_name": name} for name in names or ("Lovelace",)]
    booking = await person.book(flight, passengers=party, seats=seats)
    assert booking.status == 201, booking.body
    return booking
