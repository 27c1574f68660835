"""The keyboard alone: search, choose a seat in the map, pay, cancel."""

from __future__ import annotations

import re

from playwright.async_api import expect

from support.system import PASSWORD

from .keyboard import Keyboard
from .shapes import WIDE
from .visitor import DAY_H


async def test_the_keyboard_alone_books_pays_and_cancels(system, visitors):
    flight = await system.flight(await system.a_flight(aircraft="320", departs_in_h=23 * DAY_H))
    ada = await visitors.comes("Ada", WIDE)
    keys = Keyboard(ada.page)
    await searches(ada, keys, flight)
    await opens_an_account(ada, keys)
    await books(ada, keys)

    await keys.tabs_to(ada.page.get_by_role("radio", name="tok_visa"))
    await keys.tabs_to(ada.page.get_by_role("button", name=re.compile("^Pay ")))
    await keys.press("Enter")
    await ada.is_("confirmed")

    await keys.tabs_to(ada.page.get_by_role("link", name=re.compile("^Cancel this booking")))
    await keys.press("Enter")
    await ada.arrives_at(re.compile("^Cancel booking"))
    await keys.tabs_to(ada.page.get_by_role("button", name="Cancel the booking"))
    await keys.press("Enter")
    await ada.is_("cancelled")


async def searches(ada, keys, flight) -> None:
    page = ada.page
    await ada.opens("/")
    await keys.tabs_to(page.get_by_label("From"))
    await keys.type("kenned")
    await expect(page.get_by_role("option", name="JFK")).to_be_visible()
    while await marked(page) != "JFK":
        await keys.press("ArrowDown")
    await keys.press("Enter")
    await expect(page.get_by_label("From")).to_have_value("New York (JFK)")
    await keys.tabs_to(page.get_by_label("To"))
    await keys.type("LAX")
    await keys.press("Escape")
    await keys.tabs_to(page.get_by_label("On", exact=True))
    year, month, day = flight["departing_at"][:10].split("-")
    await keys.type(f"{month}{day}{year}")
    await expect(page.get_by_label("On", exact=True)).to_have_value(f"{year}-{month}-{day}")
    await keys.tabs_to(page.get_by_role("button", name="Search"))
    await keys.press("Enter")
    await ada.reads(flight["flight_number"])
    offer = re.compile(f"^Choose {flight['flight_number']} at")
    await keys.tabs_to(page.get_by_role("link", name=offer))
    await keys.press("Enter")


async def opens_an_account(ada, keys) -> None:
    await ada.arrives_at("Sign in")
    await keys.tabs_to(ada.page.get_by_role("link", name="Open an account"))
    await keys.press("Enter")
    await ada.arrives_at("Open an account")
    answers = {"Your name": "Ada Lovelace", "E-mail": ada.email, "Password": PASSWORD}
    for label, typed in answers.items():
        await keys.tabs_to(ada.page.get_by_label(label))
        await keys.type(typed)
    await keys.press("Enter")


async def books(ada, keys) -> None:
    await ada.arrives_at("Choose your seats")
    for label, typed in {"Given name": "Ada", "Family name": "Lovelace"}.items():
        await keys.tabs_to(ada.page.get_by_label(label))
        await keys.type(typed)
    await keys.tabs_to(ada.page.locator("[data-seat][tabindex='0']"))
    await keys.walks_to(ada.seat("12C"))
    await keys.press("Space")
    await expect(ada.seat("12C")).to_have_attribute("aria-pressed", "true")
    await ada.is_told("12C chosen")
    await keys.tabs_to(ada.page.get_by_role("button", name="Hold the seats"))
    await keys.press("Enter")
    await ada.is_("held")


async def test_each_seat_says_what_it_is(system, visitor):
    flight = await system.a_flight(aircraft="320", economy="129.00")
    await (await system.traveller("Someone")).book(flight, seats=["12F"])
    await visitor.has_an_account()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=1")
    await expect(visitor.seat("10A")).to_have_accessible_name(
        "10A, window, exit row, 129.00 USD, free"
    )
    await expect(visitor.seat("12C")).to_have_accessible_name("12C, aisle, 129.00 USD, free")
    await expect(visitor.seat("12F")).to_have_accessible_name("12F, window, taken")
    await visitor.chooses_seat("12C")
    await expect(visitor.seat("12C")).to_have_accessible_name(re.compile("chosen for"))


async def test_the_first_tab_skips_to_the_content(visitor):
    await visitor.opens("/")
    keys = Keyboard(visitor.page)
    await keys.press("Tab")
    await expect(visitor.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keys.sees_focus()
    await keys.press("Enter")
    await keys.tabs_to(visitor.page.get_by_label("From"))


async def marked(page) -> str | None:
    """The code of the airport that is marked in the list."""
    option = page.locator("[role=option][aria-selected=true] b")
    return await option.inner_text() if await option.count() else None
