"""Which pages there are."""

from __future__ import annotations

from .pages import (
    account,
    book,
    bookings,
    desk,
    desk_bookings,
    desk_flights,
    live,
    papers,
    paying,
    search,
)
from .visit import Handler

PAGES: list[tuple[str, str, Handler]] = [
    *search.ROUTES,
    *account.ROUTES,
    *book.ROUTES,
    *bookings.ROUTES,
    *paying.ROUTES,
    *papers.ROUTES,
    *live.ROUTES,
    *desk.ROUTES,
    *desk_bookings.ROUTES,
    *desk_flights.ROUTES,
]
