"""Back and reload at every step: nothing is done twice, nothing that was typed is lost."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from support.system import PASSWORD

from .visitor import DAY_H


async def reload(page: Page) -> None:
    """Loads the page again; a browser that has to ask for it would send a form once more."""
    sent: list[str] = []

    def note(request) -> None:
        if request.is_navigation_request():
            sent.append(request.method)

    page.on("request", note)
    await page.reload()
    page.remove_listener("request", note)
    assert set(sent) == {"GET"}, sent


async def bookings_of(visitor) -> list[str]:
    """The status of each of their bookings, newest first."""
    answer = await visitor.page.request.get("/api/v1/bookings")
    return [booking["status"] for booking in (await answer.json())["data"]]


async def test_a_search_is_an_address_and_back_finds_what_was_typed(system, visitor):
    flight = await system.flight(await system.a_flight(departs_in_h=24 * DAY_H))
    day = flight["departing_at"][:10]
    await visitor.searches("JFK", "LAX", on=day, travellers=2)
    await reload(visitor.page)
    await visitor.reads(flight["flight_number"])

    await visitor.page.go_back()
    await expect(visitor.page.get_by_label("From")).to_have_value("JFK")
    await expect(visitor.page.get_by_label("Travellers")).to_have_value("2")
    await visitor.page.go_forward()
    await visitor.follows("Change the search")
    await expect(visitor.page.get_by_label("To")).to_have_value(re.compile("LAX"))
    await expect(visitor.page.get_by_label("On", exact=True)).to_have_value(day)
    await expect(visitor.page.get_by_label("Travellers")).to_have_value("2")


async def test_what_was_typed_wrong_is_still_there_to_be_put_right(visitor):
    await visitor.opens("/register")
    await visitor.page.get_by_label("Your name").fill("Ada Lovelace")
    await visitor.page.get_by_label("E-mail").fill(visitor.email)
    await visitor.page.get_by_label("Password").fill("short")
    await visitor.presses("Open the account")
    await expect(visitor.page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    await expect(visitor.page.get_by_label("Your name")).to_have_value("Ada Lovelace")
    await expect(visitor.page.get_by_label("E-mail")).to_have_value(visitor.email)
    await reload(visitor.page)
    await expect(visitor.page.get_by_label("Your name")).to_have_value("Ada Lovelace")
    await expect(visitor.page.get_by_label("E-mail")).to_have_value(visitor.email)
    await expect(visitor.page.get_by_label("Password")).to_have_value("")

    await visitor.page.get_by_label("Password").fill(PASSWORD)
    await visitor.presses("Open the account")
    await visitor.is_told("Your account is open")
    await reload(visitor.page)


async def test_back_to_the_seats_and_held_again_is_one_booking(system, visitor):
    await at_the_seats(visitor, await system.a_flight())
    await visitor.holds()
    await visitor.is_("held")
    locator = await visitor.locator()
    await reload(visitor.page)
    await visitor.is_("held")

    await visitor.page.go_back()
    await visitor.arrives_at("Choose your seats")
    await visitor.reads(locator)  # that it is held already is said there
    await expect(visitor.page.get_by_label("Given name")).to_have_value("Ada")
    await visitor.presses("Hold the seats")
    await visitor.is_told("Nothing was booked now")
    assert await bookings_of(visitor) == ["held"]


async def test_a_button_pressed_twice_is_one_booking(system, visitor):
    await at_the_seats(visitor, await system.a_flight())
    await visitor.page.get_by_role("button", name="Hold the seats").dblclick()
    await visitor.is_("held")
    assert await bookings_of(visitor) == ["held"]


async def test_the_seats_loaded_again_are_there_to_be_chosen(system, visitor):
    await at_the_seats(visitor, await system.a_flight())
    await reload(visitor.page)
    await expect(visitor.page.get_by_label("Given name")).to_have_value("Ada")
    await expect(visitor.page.get_by_label("Seat for passenger 1")).to_have_value("12A")
    await expect(visitor.seat("12A")).to_have_attribute("aria-pressed", "true")
    await visitor.holds()
    await visitor.reads("12A")


async def test_what_was_refused_is_not_sent_again_by_reload_and_stays_typed(system, visitor):
    await visitor.has_an_account()
    flight = await system.a_flight()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=2")
    await visitor.names("Ada Lovelace", "Grace Hopper")
    await visitor.chooses_seat("12A")  # and none for the other
    await visitor.presses("Hold the seats")
    await visitor.reads("Choose a seat for everybody")
    await reload(visitor.page)
    await expect(visitor.page.get_by_label("Given name").nth(1)).to_have_value("Grace")
    await expect(visitor.page.get_by_label("Seat for passenger 1")).to_have_value("12A")
    await visitor.chooses_seat("12C")
    await visitor.holds()
    await visitor.reads("12C")


async def test_reload_of_a_refused_account_does_not_forget_where_one_was_going(system, visitor):
    flight = await system.a_flight()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=1")
    await visitor.follows("Open an account")
    await visitor.opens_account(password="short")
    await visitor.reads("at least 8 characters")
    await reload(visitor.page)
    await visitor.opens_account()
    await visitor.arrives_at("Choose your seats")


async def at_the_seats(visitor, flight: str) -> None:
    """All is filled in, and nothing sent yet."""
    await visitor.has_an_account()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=1")
    await visitor.names("Ada Lovelace")
    await visitor.chooses_seat("12A")


async def test_a_refused_payment_is_not_sent_again_by_reload(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_declined")
    await visitor.is_told("declined")
    await reload(visitor.page)
    await visitor.is_("held")

    await visitor.pays_with("tok_visa")
    await visitor.is_("confirmed")
    await reload(visitor.page)
    await visitor.is_("confirmed")


async def test_back_after_paying_does_not_pay_twice(system, visitor):
    await visitor.has_an_account()
    booking = await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_visa")
    await visitor.is_("confirmed")
    await visitor.page.go_back()
    await visitor.is_("confirmed")

    timeline = await (await visitor.page.request.get(f"/api/v1{booking}/timeline")).json()
    assert [it["action"] for it in timeline["data"]].count("payment_started") == 1


async def test_back_after_cancelling_finds_it_cancelled(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.cancels()
    await visitor.is_("cancelled")
    await reload(visitor.page)
    await visitor.page.go_back()  # to the question, which is settled
    await visitor.is_("cancelled")


async def test_whoever_signed_out_sees_nothing_by_going_back(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.signs_out()
    await visitor.page.go_back()
    await expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
