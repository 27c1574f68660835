"""Which pages there are."""

from __future__ import annotations

from .pages import account, bookings, desk, desk_bookings, desk_flights, paying, search
from .visit import Handler

PAGES: list[tuple[str, str, Handler]] = [
    *search.ROUTES,
    *account.ROUTES,
    *bookings.ROUTES,
    *paying.ROUTES,
    *desk.ROUTES,
    *desk_bookings.ROUTES,
    *desk_flights.ROUTES,
]
