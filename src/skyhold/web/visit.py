"""One request of a browser: who looks, what they ask for, and what they are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from skyhold.kernel.ids import new_id

from .api import Api, Away
from .forms import Form
from .session import Session
from .site import Site

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
}
# What a page says of what was just done; the address carries the name only.
NOTICES = {
    "registered": "Welcome! Your account is open.",
    "signed_out": "You are signed out.",
    "signed_out_here": "You are signed out in this browser. The server could not be told just now.",
    "held": "The seats are held for you. Please pay before the time below.",
    "paid": "Thank you, the payment has arrived. Your booking is confirmed.",
    "settling": "The payment is on its way. This page tells you when it has arrived.",
    "cancelled": "The booking is cancelled.",
    "flight_cancelled": "The flight is cancelled. Its bookings are told, and what was paid for "
    "them is given back, as soon as the news reaches them: usually within moments.",
    "flight_retimed": "The flight has new times. Its bookings are told as soon as the news reaches "
    "them: usually within moments.",
    "not_confirmed": "There is an itinerary, and a calendar file, once a booking is confirmed.",
}
# What may be said anywhere; the others only where it is so.
OF_ACCOUNTS = frozenset({"registered", "signed_out", "signed_out_here"})
Handler = Callable[["Visit"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    name: str
    email: str
    is_staff: bool


class Visit:
    """What a page's handler gets."""

    def __init__(self, request: Request, site: Site) -> None:
        self.site = site
        self.request = request
        self.address = None if request.client is None else request.client.host
        self.path: Mapping[str, str] = request.path_params
        self.session = Session(request.cookies, secure=site.secure)
        self.person: Person | None = None
        self.is_unsure = False  # nobody could say who it is

    @property
    def api(self) -> Api:
        """The public API, asked as whoever is signed in."""
        browser = self.request.headers.get("user-agent")
        return Api(self.site, self.session.token, self.address, browser)

    @property
    def here(self) -> str:
        """The address of this page with its query, to come back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    @property
    def back(self) -> str:
        """Where to come back to: this page, or the one that a form stood on."""
        if self.request.method == "GET":
            return self.here
        return self.request.url.path.rpartition("/")[0] or "/"

    def query(self, name: str, default: str = "") -> str:
        """One parameter of the address, without blanks around it."""
        return self.request.query_params.get(name, default).strip()

    def queries(self, name: str) -> list[str]:
        """All parameters of this name."""
        return [value.strip() for value in self.request.query_params.getlist(name)]

    def part(self, name: str) -> str:
        """A part of the address, fit to be part of an address of the API."""
        return as_part(self.path[name])

    async def form(self) -> Form:
        """What was typed. Raises NotAForm."""
        return Form.parse(await self.request.body())

    async def arrive(self) -> None:
        """Find out who it is; a session that is older than its token goes on with a fresh one.

        When nobody can say who it is, what is for everybody goes on without.
        """
        try:
            known = await self.session.recognise(self.site, self.address)
        except Away:
            self.is_unsure, known = True, None
        if known is not None:
            self.person = Person(known["name"], known["email"], known["role"] in {"staff", "admin"})

    def show(
        self,
        template: str,
        status: int = 200,
        *,
        notices: frozenset[str] = OF_ACCOUNTS,
        **context: Any,  # noqa: ANN401 - whatever it shows
    ) -> Response:
        """A page. `notices` are those that are true of what it shows, whatever its address says."""
        page = self.site.templates.get_template(template)
        said = self.query("notice")
        notice = NOTICES[said] if said in notices else None
        html = page.render(person=self.person, here=self.here, notice=notice, **context)
        return HTMLResponse(html, status, HEADERS)

    def go(self, url: str, notice: str | None = None) -> Response:
        """Send the browser to another page, which says `notice`."""
        if notice is not None:
            url += ("&" if "?" in url else "?") + urlencode({"notice": notice})
        return RedirectResponse(url, 303)

    def keep(self, response: Response) -> Response:
        """The answer, with what the browser has to remember."""
        self.session.keep(response, secure=self.site.secure)
        return response

    def back_to(self, url: str, default: str = "/") -> str:
        """The address if it is one of ours, otherwise the default: nobody is led elsewhere."""
        is_ours = url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable()
        return url if is_ours else default

    @staticmethod
    def fresh_key() -> str:
        """An Idempotency-Key for a form: sent twice, it counts once."""
        return new_id()


def as_part(text: str) -> str:
    """Text as one part of an address of the API. Raises HTTPException (404) for what leads away."""
    if text in {".", ".."}:
        raise HTTPException(404)
    return quote(text, safe="")


_FOR_ANYBODY: set[Handler] = set()


def for_anybody(handler: Handler) -> Handler:
    """For what is the same whoever asks: nobody is looked up for it."""
    _FOR_ANYBODY.add(handler)
    return handler


def is_for_anybody(handler: Handler) -> bool:
    """Whether it does not matter who asks."""
    return handler in _FOR_ANYBODY


def signed_in(handler: Handler) -> Handler:
    """For those who are signed in; others do that first, and come back."""

    async def guarded(visit: Visit) -> Response:
        if visit.is_unsure:
            msg = "nobody can say who this is"
            raise Away(msg)
        if visit.person is None:
            return visit.go(f"/sign-in?{urlencode({'next': visit.back})}")
        return await handler(visit)

    return guarded


def staff_only(handler: Handler) -> Handler:
    """For staff. To anybody else who is signed in there is no such page."""

    async def guarded(visit: Visit) -> Response:
        if visit.person is not None and not visit.person.is_staff:
            return visit.show("error.html", 404, title="There is no such page", says="")
        return await handler(visit)

    return signed_in(guarded)
