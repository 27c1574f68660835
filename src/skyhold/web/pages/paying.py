"""Pay for a booking."""

from __future__ import annotations

from starlette.responses import Response

from skyhold.web.api import Away, Refused
from skyhold.web.forms import Form
from skyhold.web.visit import Handler, Visit, signed_in

from .a_booking import address_of
from .bookings import show_booking

NOT_FOUND, UNAVAILABLE = 404, 503
UNCLEAR = (
    "There was no clear answer, so you may not have paid. Please press the button again: "
    "you are charged once, however often you do."
)


async def look(visit: Visit) -> Response:
    """Back to the booking: this address is where its form is sent to."""
    return visit.go(f"/bookings/{visit.part('booking_id')}")


@signed_in
async def pay(visit: Visit) -> Response:
    """Pay with the token that was picked; whatever comes of it is on the booking's page."""
    form = await visit.form()
    booking_id = visit.part("booking_id")
    token = _token(form)
    try:
        payment = await visit.api.post(
            "/api/v1/bookings/payments",
            {"booking_id": booking_id, "payment_token": token},
            key=form.text("key") or None,
        )
    except Away:
        return await _unclear(visit, booking_id, form, token)
    except Refused as error:
        if error.status == NOT_FOUND:
            raise
        booking = await visit.api.get(address_of(visit))
        return await show_booking(visit, booking, error.status, problem=error.detail, token=token)
    notice = "paid" if payment["status"] == "captured" else "settling"
    return visit.go(f"/bookings/{booking_id}", notice)


async def _unclear(visit: Visit, booking_id: str, form: Form, token: str) -> Response:
    """Perhaps it was taken: under the same key it can be asked for again, and counts once."""
    booking = await visit.api.get(address_of(visit))
    if booking["status"] != "held":
        return visit.go(f"/bookings/{booking_id}", "settling")
    return await show_booking(
        visit, booking, UNAVAILABLE, problem=UNCLEAR, token=token, key=form.text("key")
    )


def _token(form: Form) -> str:
    return form.text("other_token") or form.text("token")


ROUTES: list[tuple[str, str, Handler]] = [
    ("/bookings/{booking_id}/pay", "GET", look),
    ("/bookings/{booking_id}/pay", "POST", pay),
]
