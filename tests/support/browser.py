"""A browser: it keeps cookies, and says from which site its requests come."""

from __future__ import annotations

import httpx

from .system import PASSWORD
from .traveller import Reply

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


def a_browser(system, base_url="http://skyhold.test", app=None):
    """A client with cookies of its own, in front of a system in this process."""
    transport = httpx.ASGITransport(app) if app else system.bookings_http._transport
    return httpx.AsyncClient(
        transport=transport, base_url=base_url, timeout=60, headers=SAME_ORIGIN
    )


async def ask(browser, method, path, body=None, *, token=None):
    """One request to the API, with a bearer token or with what the browser has."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return Reply.of(await browser.request(method, f"/api/v1/{path}", json=body, headers=headers))


async def registered(browser, email, password=PASSWORD):
    """Someone new, not logged in."""
    who = {"name": "Ada Lovelace", "email": email, "password": password}
    return await ask(browser, "POST", "users/register", who)


async def logged_in(browser, email, password=PASSWORD):
    """The tokens of a new session; the browser has them as cookies, too."""
    return await ask(browser, "POST", "users/login", {"email": email, "password": password})
