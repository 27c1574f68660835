"""Somebody who reads the pages: follows links, fills in forms, and keeps cookies."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

import httpx

from support.system import PASSWORD

FROM_HERE = {"sec-fetch-site": "same-origin"}
_serials = itertools.count(1)


@dataclass
class Form:
    """A form of a page with what is in it already."""

    method: str
    action: str
    fields: list[tuple[str, str]]


class _Reading(HTMLParser):
    def __init__(self):
        super().__init__()
        self.text, self.links, self.forms, self._select = [], [], [], None

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        if tag == "a":
            self.links.append(at.get("href", ""))
        elif tag == "form":
            self.forms.append(Form(at.get("method", "get").upper(), at["action"], []))
        elif tag == "input" and self.forms and "name" in at:
            if at.get("type") in ("radio", "checkbox") and "checked" not in at:
                return
            self.forms[-1].fields.append((at["name"], at.get("value", "")))
        elif tag == "select" and self.forms:
            self._select = [at["name"], None]
        elif tag == "option" and self._select and ("selected" in at or self._select[1] is None):
            self._select[1] = at["value"]

    def handle_endtag(self, tag):
        if tag == "select" and self._select:
            self.forms[-1].fields.append((self._select[0], self._select[1] or ""))
            self._select = None

    def handle_data(self, data):
        self.text.append(data)


@dataclass
class Page:
    """What came back, as a person sees it."""

    status: int
    url: str
    html: str
    headers: httpx.Headers

    def __post_init__(self):
        reading = _Reading()
        reading.feed(self.html)
        self.text = re.sub(r"\s+", " ", " ".join(reading.text))
        self.links, self.forms = reading.links, reading.forms

    def link(self, part):
        """The first link whose address has this in it."""
        return next(it for it in self.links if part in it)

    def form(self, part):
        """The form that is sent to an address with this in it."""
        return next(it for it in self.forms if part in it.action)


class Reader:
    """Acts for one person."""

    def __init__(self, system):
        self.system = system
        self.http = httpx.AsyncClient(
            transport=system.bookings_http._transport,
            base_url="http://skyhold.test",
            headers=FROM_HERE,
            timeout=60,
        )

    async def open(self, url, *, follow=True):
        """A page, after all redirects."""
        return await self._ask("GET", url, follow=follow)

    async def send(self, form, *, follow=True, **typed):
        """Fill in a form and send it."""
        fields = [(key, value) for key, value in form.fields if key not in typed]
        for key, value in typed.items():
            fields += [(key, it) for it in (value if isinstance(value, list) else [value])]
        if form.method == "GET":
            return await self._ask("GET", f"{form.action}?{urlencode(fields)}", follow=follow)
        return await self._ask("POST", form.action, fields, follow=follow)

    async def registers(self, name="Ada Lovelace", back="/"):
        """A new account by the form, signed in at its end."""
        form = (await self.open(f"/register?{urlencode({'next': back})}")).form("/register")
        self.email = f"reader-{next(_serials)}@example.com"
        return await self.send(form, name=name, email=self.email, password=PASSWORD)

    @property
    def token(self):
        """The access token that the browser has."""
        return self.http.cookies.get("skyhold_access")

    async def _ask(self, method, url, fields=None, *, follow):
        kind = {"content-type": "application/x-www-form-urlencoded"} if fields is not None else {}
        body = None if fields is None else urlencode(fields)
        reply = await self.http.request(method, url, content=body, headers=kind)
        while follow and reply.is_redirect:
            url = urljoin(str(reply.url), reply.headers["location"])
            reply = await self.http.get(url)
        return Page(reply.status_code, str(reply.url), reply.text, reply.headers)
