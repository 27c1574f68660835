"""A card that is declined, a payer who has to approve, money that comes back."""

from __future__ import annotations

import re

from playwright.async_api import expect

from .looks import look


async def test_a_declined_card_and_then_a_good_one(system, visitor):
    await visitor.has_an_account()
    booking = await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_declined")
    await visitor.is_told("declined")
    await visitor.is_("held")
    await look(visitor.page, "booking-declined")

    await visitor.pays_with("tok_visa")
    await visitor.is_("confirmed")
    await visitor.opens(booking)
    timeline = visitor.page.get_by_role("region", name="What was done").get_by_role("listitem")
    await expect(timeline).to_contain_text(
        ["Held", "Payment started", "Payment declined", "Payment started", "Confirmed"]
    )


async def test_a_payer_approves_beside_and_the_page_goes_on_by_itself(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_3ds")
    await visitor.is_("paying")
    await look(visitor.page, "booking-to-approve")

    await approval(visitor, "Approve")
    await visitor.is_("confirmed")


async def test_a_payer_refuses_and_pays_with_another_card(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.pays_with("tok_3ds")
    await approval(visitor, "Refuse")
    await visitor.is_("held")
    await visitor.reads(re.compile("not (been )?(paid|charged)"))

    await visitor.pays_with("tok_visa")
    await visitor.is_("confirmed")


async def test_a_cards_number_is_not_taken_and_not_shown_again(system, visitor):
    await visitor.has_an_account()
    await visitor.has_booked(await system.a_flight(), "12A")
    await visitor.page.get_by_text("Another token").click()
    await visitor.page.get_by_label("Token", exact=True).fill("4242424242424242")
    await visitor.presses(re.compile("^Pay "))
    await visitor.is_told("card")
    await visitor.is_("held")
    assert "4242" not in await visitor.page.content()


async def approval(visitor, button: str) -> None:
    """Decides on the page of the bank, which opens beside this one."""
    async with visitor.page.context.expect_page() as opened:
        await visitor.follows("Approve the payment")
    bank = await opened.value
    await bank.get_by_role("button", name=button).click()
    await expect(bank.get_by_text("You can close this page")).to_be_visible()
    await bank.close()
