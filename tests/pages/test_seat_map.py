"""The seat map: by pointer, by keys, by the lists, and while others take seats."""

from __future__ import annotations

import re

from playwright.async_api import expect

from .looks import look
from .shapes import PHONE, WIDE


async def at_the_map(visitor, *flights, party=1):
    """Somebody with an account, on the booking page."""
    await visitor.has_an_account()
    query = "".join(f"flight={flight}&" for flight in flights)
    await visitor.opens(f"/book?{query}cabin=economy&passengers={party}")
    await expect(visitor.page.locator("[data-map]").first).not_to_have_attribute("inert", "")
    return visitor.page


def lists(page):
    return page.locator("select[name=seat]")


async def chosen(page, *seats):
    """Waits until the lists say so."""
    for place, seat in enumerate(seats):
        await expect(lists(page).nth(place)).to_have_value(seat)


async def focused(page):
    return await page.evaluate("document.activeElement.dataset.seat")


async def press(page, *keys):
    for key in keys:
        await page.keyboard.press(key)


# --- choosing --------------------------------------------------------------------------------


async def test_each_click_is_for_the_next_passenger_and_a_second_one_gives_back(system, visitor):
    page = await at_the_map(visitor, await system.a_flight(), party=3)
    await visitor.names("Ada Lovelace", "Grace Hopper")
    await expect(page.get_by_role("radio", name="Ada (1)")).to_be_checked()
    await visitor.chooses_seat("12A")
    await visitor.is_told("12A chosen for Ada, 129.00 USD. Now choosing for Grace.")
    await expect(page.get_by_role("radio", name="Grace (2)")).to_be_checked()
    await visitor.chooses_seat("12C")
    await visitor.chooses_seat("12D")
    await chosen(page, "12A", "12C", "12D")
    await expect(visitor.seat("12A")).to_have_accessible_name(
        "12A, window, exit row, 129.00 USD, chosen for Ada"
    )
    await visitor.seat("12C").click()
    await visitor.is_told("12C given back. Choosing for Grace.")
    await chosen(page, "12A", "", "12D")
    await expect(visitor.seat("12C")).to_have_attribute("aria-pressed", "false")
    await visitor.chooses_seat("13C")
    await chosen(page, "12A", "13C", "12D")


async def test_a_name_with_a_comma_is_no_trouble(system, visitor):
    await at_the_map(visitor, await system.a_flight())
    await visitor.names("Ada, the first Lovelace")
    await visitor.chooses_seat("12A")
    await visitor.names("Ada, Lovelace")
    await expect(visitor.seat("12A")).to_have_accessible_name(
        "12A, window, exit row, 129.00 USD, chosen for Ada,"
    )


async def test_whose_turn_it_is_can_be_picked(system, visitor):
    page = await at_the_map(visitor, await system.a_flight(), party=2)
    await page.get_by_role("radio", name="Passenger 2").check()
    await visitor.chooses_seat("3A")
    await chosen(page, "", "3A")
    await expect(page.get_by_role("radio", name="Passenger 1")).to_be_checked()


async def test_the_lists_and_the_map_say_the_same(system, visitor):
    page = await at_the_map(visitor, await system.a_flight(), party=2)
    await lists(page).nth(0).select_option("5A")
    await expect(visitor.seat("5A")).to_have_attribute("aria-pressed", "true")
    await expect(visitor.seat("5A").locator("text")).to_have_text("1")
    await lists(page).nth(1).select_option("5A")  # it changes hands
    await chosen(page, "", "5A")
    await expect(visitor.seat("5A").locator("text")).to_have_text("2")
    await lists(page).nth(1).select_option("")
    await expect(visitor.seat("5A")).to_have_attribute("aria-pressed", "false")


async def test_the_keyboard_alone_goes_everywhere_and_chooses(system, visitor):
    flight = await system.a_flight()  # rows 1 to 25, A C aisle D F
    bob = await system.traveller("Bob")
    await bob.book(flight, seats=["1C"])
    page = await at_the_map(visitor, flight, party=2)
    await lists(page).nth(1).focus()
    await press(page, "Tab")
    assert await focused(page) == "1A"
    for key, seat in [
        ("ArrowRight", "1C"),
        ("ArrowRight", "1D"),
        ("ArrowDown", "2D"),
        ("End", "2F"),
        ("Home", "2A"),
        ("PageDown", "12A"),
        ("PageDown", "22A"),
        ("PageDown", "25A"),
        ("PageUp", "15A"),
        ("ArrowUp", "14A"),
        ("Control+End", "25F"),
        ("ArrowRight", "25F"),
        ("Control+Home", "1A"),
        ("ArrowUp", "1A"),
        ("ArrowRight", "1C"),
    ]:
        await press(page, key)
        assert await focused(page) == seat, key
    await press(page, "Enter")
    await visitor.is_told("1C cannot be had.")
    await press(page, "ArrowDown", "Enter")
    await press(page, "ArrowRight", "Space")
    await chosen(page, "2C", "2D")
    await press(page, "Shift+Tab")
    assert await focused(page) is None
    await press(page, "Tab")
    assert await focused(page) == "2D"  # one tab stop, where one has been


# --- others ----------------------------------------------------------------------------------


async def test_a_seat_taken_elsewhere_turns_grey_and_comes_back(system, visitor):
    flight, bob = await system.a_flight(), await system.traveller("Bob")
    page = await at_the_map(visitor, flight)
    await visitor.seat("12A").scroll_into_view_if_needed()
    booking = await bob.book(flight, seats=["12A"])
    await expect(visitor.seat("12A")).to_have_class("seat taken")
    await expect(visitor.seat("12A")).to_have_accessible_name("12A, window, exit row, taken")
    await expect(lists(page).locator("option[value='12A']")).to_be_disabled()
    await bob.cancel(booking)
    await expect(visitor.seat("12A")).to_have_class("seat available")
    await expect(lists(page).locator("option[value='12A']")).to_be_enabled()


async def test_a_seat_that_was_taken_before_comes_into_the_lists_when_it_is_freed(system, visitor):
    flight, bob = await system.a_flight(), await system.traveller("Bob")
    row = await bob.book(flight, party=4, seats=["8A", "8C", "8D", "8F"])
    one = await bob.book(flight, seats=["9C"])
    page = await at_the_map(visitor, flight)
    await visitor.seat("8A").scroll_into_view_if_needed()
    for booking in (row, one):
        await bob.cancel(booking)
    await expect(lists(page).locator("option[value='9C']")).to_be_enabled()
    await expect(lists(page).locator("option[value='8F']")).to_be_enabled()
    options = lists(page).locator("option")
    values = [it for it in await options.evaluate_all("all => all.map(it => it.value)") if it]
    numbers = [f"{row}{letter}" for row in range(1, 26) for letter in "ACDF"]
    assert values == numbers
    assert await lists(page).locator("optgroup[label='Row 8'] option").count() == 4
    await visitor.chooses_seat("8D")
    await chosen(page, "8D")


async def test_two_want_one_seat_and_who_is_late_is_told_and_takes_another(system, visitors):
    flight = await system.a_flight()
    ada, bob = await visitors.comes("Ada"), await visitors.comes("Bob", WIDE)
    for who in (ada, bob):
        await at_the_map(who, flight)
        await who.names(f"{who.name} Lovelace")
        await who.chooses_seat("12A")
    await ada.holds()
    await bob.is_told("12A, chosen for Bob, was taken by somebody else just now.")
    await chosen(bob.page, "")
    await bob.chooses_seat("12C")
    await bob.holds()


# --- once ------------------------------------------------------------------------------------


async def test_back_to_the_map_after_holding_and_the_button_again_is_one_booking(system, visitor):
    page = await at_the_map(visitor, await system.a_flight())
    await visitor.names("Ada Lovelace")
    await visitor.chooses_seat("12A")
    await visitor.holds()
    await page.go_back()
    await visitor.reads("You hold seats on")
    await visitor.names("Ada Lovelace")
    await visitor.presses("Hold the seats")
    # Her own seat is no longer free, so it is another wish: she is asked whether she means it.
    await visitor.is_told("was sent before")
    assert len(await bookings_of(visitor)) == 1
    await visitor.holds()
    assert len(await bookings_of(visitor)) == 2


async def bookings_of(visitor):
    answer = await visitor.page.request.get("/api/v1/bookings")
    return (await answer.json())["data"]


# --- how it looks ----------------------------------------------------------------------------


async def test_the_widest_aircraft_fits_a_phone(system, visitor):
    flight = await system.a_flight(
        aircraft="77W",
        economy="299.00",
        premium_economy="499.00",
        business="999.00",
        first="1999.00",
    )
    page = await at_the_map(visitor, flight, party=2)
    await visitor.chooses_seat("30A")
    await look(page, "seat-map-77w")
    await page.set_viewport_size(PHONE.size)
    box = await visitor.seat("30A").locator("rect").bounding_box()
    next_box = await visitor.seat("30B").locator("rect").bounding_box()
    assert next_box["x"] - box["x"] >= 24
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE.width


async def test_two_flights_have_two_maps_of_their_own(system, visitor):
    flights = [await system.a_flight(departs_in_h=hours) for hours in (200, 300)]
    page = await at_the_map(visitor, *flights)
    await visitor.names("Ada Lovelace")
    for place, seat in enumerate(("3A", "4D")):
        await page.locator(f"[data-segment='{place}'] [data-seat='{seat}']").click()
    await chosen(page, "3A", "4D")
    await visitor.holds()
    await visitor.reads(re.compile("3A.*4D", re.DOTALL))


async def test_without_javascript_the_map_is_a_picture_and_the_lists_book(system, visitors):
    flight = await system.a_flight()
    ada = await visitors.comes("Ada", java_script_enabled=False)
    await ada.has_an_account()
    await ada.opens(f"/book?flight={flight}&cabin=economy&passengers=1")
    await ada.names("Ada Lovelace")
    await expect(ada.page.locator("[data-map]")).to_have_attribute("inert", "")
    await lists(ada.page).focus()
    await press(ada.page, "Tab")
    await expect(ada.page.get_by_role("button", name="Hold the seats")).to_be_focused()
    await lists(ada.page).select_option("12A")
    await ada.holds()
    await ada.reads("12A")
