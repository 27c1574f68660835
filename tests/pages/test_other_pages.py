"""The pages that the stories pass by: empty ones, refusals, and what is not there."""

from __future__ import annotations

import re

from support.system import PASSWORD

from .looks import look


async def test_a_search_that_cannot_be_made_says_why(visitor):
    await visitor.opens("/flights?origin=Nowhere&destination=New%20York&date=2027-01-01")
    await visitor.reads("We know no such airport")
    await visitor.reads("Several airports match")
    await look(visitor.page, "search-problems")


async def test_nothing_flies_that_day(visitor):
    await visitor.opens("/flights?origin=JFK&destination=IAH&date=2027-12-01")
    await visitor.reads("Nothing flies that day")
    await look(visitor.page, "flights-none")


async def test_an_account_that_cannot_be_opened(visitor):
    await visitor.has_an_account()
    await visitor.opens("/")
    await visitor.signs_out()
    await visitor.opens("/register")
    await visitor.page.get_by_label("Your name").fill("Ada Lovelace")
    await visitor.page.get_by_label("E-mail").fill(visitor.email)
    await visitor.page.get_by_label("Password").fill(PASSWORD)
    await visitor.presses("Open the account")
    await visitor.reads("There is an account with this e-mail already")
    await look(visitor.page, "register-problems")


async def test_a_password_that_is_wrong(visitor):
    await visitor.opens("/sign-in")
    await visitor.page.get_by_label("E-mail").fill(visitor.email)
    await visitor.page.get_by_label("Password").fill("not the password")
    await visitor.presses("Sign in")
    await visitor.is_told("do not belong together")
    await look(visitor.page, "sign-in-problems")


async def test_nobody_has_no_bookings_yet(visitor):
    await visitor.has_an_account()
    await visitor.opens("/bookings")
    await visitor.reads("Nothing here yet")
    await look(visitor.page, "my-bookings-none")


async def test_there_is_no_such_page(visitor):
    await visitor.opens("/bookings/nothing/here")
    await visitor.arrives_at("There is no such page")
    await look(visitor.page, "no-such-page")


async def test_what_is_missing_on_the_booking_page_is_said_where(system, visitor):
    await visitor.has_an_account()
    flight = await system.a_flight()
    await visitor.opens(f"/book?flight={flight}&cabin=economy&passengers=2")
    await visitor.names("Ada Lovelace", "Grace Hopper")
    await visitor.chooses_seat("12A")  # and none for the other
    await visitor.presses("Hold the seats")
    await visitor.reads("Choose a seat for everybody")
    await look(visitor.page, "book-problems")


async def test_a_flight_that_lands_on_another_day_says_so(system, visitor):
    flight = await system.a_flight(origin="LAX", destination="JFK", takes_h=23)
    day = (await system.flight(flight))["departing_at"][:10]
    await visitor.searches("LAX", "JFK", on=day)
    await visitor.reads(re.compile(r"\+[12] day"))
    await look(visitor.page, "flights-next-day")
