"""Somebody with a browser, who does what travellers do."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date

from playwright.async_api import Locator, Page, expect

from support.system import PASSWORD, eventually

from .complaints import listen

# Flights that are searched for depart on days of their own: a page of results holds twenty.
DAY_H = 24
# Nothing here depends on speed: a disk may stall for seconds, and again.
WITHIN_MS = 30_000
expect.set_options(timeout=WITHIN_MS)
SAME_SITE = {"sec-fetch-site": "same-origin"}  # the browser would say so
_numbers = itertools.count(1)


@dataclass
class Visitor:
    """One person at one browser window. What they do waits until its page is there."""

    page: Page
    name: str
    complaints: list[str] = field(init=False)
    email: str = field(init=False)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(WITHIN_MS)
        self.complaints = listen(self.page.context)
        self.email = f"{self.name.lower()}-{next(_numbers)}-{os.getpid()}@example.com"

    # Getting about

    async def opens(self, path: str) -> None:
        """Types an address."""
        await self.page.goto(path)

    async def reads(self, text: str | re.Pattern[str]) -> None:
        """Waits until the page says so."""
        await expect(self.page.locator("main")).to_contain_text(text)

    async def arrives_at(self, heading: str | re.Pattern[str]) -> None:
        """Waits until the page of this heading is there."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)

    async def is_told(self, text: str | re.Pattern[str]) -> None:
        """Waits until a message says so, one that is also spoken."""
        loud = self.page.locator("main").get_by_role("alert")
        soft = self.page.locator("main").get_by_role("status")
        await expect(loud.or_(soft).filter(has_text=text).first).to_be_visible()

    async def sees(self, check: Callable[[], Awaitable[bool]]) -> None:
        """Looks again until it is so."""
        await eventually(check, within_s=WITHIN_MS / 1000)

    async def follows(self, link: str | re.Pattern[str]) -> None:
        """A link, by what it says."""
        await self.page.get_by_role("link", name=link).click()

    async def presses(self, button: str | re.Pattern[str]) -> None:
        """A button, by what it says."""
        await self.page.get_by_role("button", name=button).click()

    # Finding a flight

    async def searches(
        self, origin: str, destination: str, *, on: str, travellers: int = 1
    ) -> None:
        """Fills in the form and sends it."""
        await self.opens("/")
        await self.page.get_by_label("From").fill(origin)
        await self.page.get_by_label("To").fill(destination)
        await self.page.get_by_label("On", exact=True).fill(on)
        await self.page.get_by_label("Travellers").select_option(str(travellers))
        await self.presses("Search")
        await self.reads(on_day(on))

    async def picks_airport(self, field_name: str, typed: str, wanted: str) -> None:
        """Types a part of its name and takes what is proposed."""
        place = self.page.get_by_label(field_name)
        await place.press_sequentially(typed)
        await self.page.get_by_role("option", name=wanted).click()
        await expect(place).to_have_value(re.compile(wanted))

    async def takes(self, flight_number: str, cabin: str = "Economy") -> None:
        """Goes on with this flight."""
        offer = re.compile(f"^Choose {flight_number} at .*, {cabin}, ")
        await self.page.get_by_role("link", name=offer).click()

    # Who they are

    async def registers(self) -> None:
        """Opens an account, from the page that asks to sign in."""
        await self.follows("Open an account")
        await self.opens_account()

    async def opens_account(self, password: str = PASSWORD) -> None:
        """Fills in the form for it."""
        await self.page.get_by_label("Your name").fill(f"{self.name} Lovelace")
        await self.page.get_by_label("E-mail").fill(self.email)
        await self.page.get_by_label("Password").fill(password)
        await self.presses("Open the account")

    async def signs_in(self, email: str) -> None:
        """With the password that everybody has here."""
        await self.opens("/sign-in")
        await self.page.get_by_label("E-mail").fill(email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.presses("Sign in")
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    async def signs_out(self) -> None:
        """By the button that every page has."""
        await self.presses("Sign out")
        await self.is_told("You are signed out")

    async def has_an_account(self) -> None:
        """The same in no time, and signed in, for stories that begin later."""
        who = {"name": f"{self.name} Lovelace", "email": self.email, "password": PASSWORD}
        reply = await self.page.request.post("/register", form=who, headers=SAME_SITE)
        assert reply.ok, await reply.text()

    async def has_booked(self, flight: str, *seats: str) -> str:
        """A booking of their own, held; answers the address of its page, which is opened."""
        body = {
            "segments": [{"flight_id": flight, "seats": list(seats)}],
            "passengers": [{"given_name": self.name, "family_name": "Lovelace"}],
        }
        reply = await self.page.request.post("/api/v1/bookings", data=body, headers=SAME_SITE)
        assert reply.status == 201, await reply.text()
        address = f"/bookings/{(await reply.json())['id']}"
        await self.opens(address)
        return address

    # Booking

    def seat(self, number: str) -> Locator:
        """A seat of the map."""
        return self.page.locator(f"[data-seat='{number}']")

    async def chooses_seat(self, number: str) -> None:
        """Clicks on the map."""
        await self.seat(number).click()
        await expect(self.seat(number)).to_have_attribute("aria-pressed", "true")

    async def names(self, *people: str) -> None:
        """Says who travels: "Ada Lovelace"."""
        for at, person in enumerate(people):
            given, family = person.split(" ", 1)
            await self.page.get_by_label("Given name").nth(at).fill(given)
            await self.page.get_by_label("Family name").nth(at).fill(family)

    async def holds(self) -> None:
        """Books what was chosen, to be paid later."""
        await self.presses("Hold the seats")
        await self.page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}(\?.*)?$"))

    async def pays_with(self, token: str) -> None:
        """Picks this token of the provider, and pays."""
        await self.page.get_by_role("radio", name=token).check()
        await self.presses(re.compile("^Pay "))

    async def is_(self, status: str) -> None:
        """Waits until the booking's page shows this status."""
        await expect(self.page.locator("main header .badge")).to_have_text(status)

    async def locator(self) -> str:
        """The record locator of the booking that is shown."""
        return await self.page.locator(".locator").inner_text()

    async def cancels(self) -> None:
        """Asks to cancel, and means it."""
        await self.follows(re.compile("^Cancel this booking"))
        await self.presses("Cancel the booking")


def on_day(day: str) -> str:
    """As the results show a date: "Tue 1 Dec 2026"."""
    at = date.fromisoformat(day)
    return f"{at:%a} {at.day} {at:%b %Y}"
