"""Open an account, sign in, sign out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlencode

from starlette.responses import Response

from skyhold.web.api import Away, Refused
from skyhold.web.forms import Form
from skyhold.web.visit import Handler, Visit


async def ask_who(visit: Visit) -> Response:
    """The form to sign in; whoever is signed in goes on."""
    if visit.person is not None:
        return visit.go(visit.back_to(visit.query("next")))
    return _sign_in_form(visit, Form(), visit.query("next"))


async def sign_in(visit: Visit) -> Response:
    """Begin a session, and go on to where one wanted to be."""
    form = await visit.form()
    before = visit.api if visit.person is not None else None
    try:
        await _begin(visit, form)
    except Refused as error:
        return _sign_in_form(visit, form, form.text("next"), error)
    if before is not None:
        with suppress(Refused, Away):
            await before.post("/api/v1/users/logout")  # one session at a time
    return visit.go(visit.back_to(form.text("next"), "/bookings"))


async def ask_name(visit: Visit) -> Response:
    """The form for a new account."""
    return _register_form(visit, Form(), visit.query("next"))


async def register(visit: Visit) -> Response:
    """Open the account and sign in."""
    form = await visit.form()
    new = {"name": form.text("name"), **_credentials(form)}
    try:
        await visit.api.post("/api/v1/users/register", new)
    except Refused as error:
        return _register_form(visit, form, form.text("next"), error)
    try:
        await _begin(visit, form)
    except Refused:  # too many sign in from there just now; the account is open all the same
        return visit.go(f"/sign-in?{urlencode({'next': form.text('next')})}", "registered")
    return visit.go(visit.back_to(form.text("next")), "registered")


async def sign_out(visit: Visit) -> Response:
    """End the session, here and everywhere; here in any case."""
    notice = "signed_out"
    try:
        await visit.api.post("/api/v1/users/logout")
    except Away:
        notice = "signed_out_here"
    visit.session.end()
    return visit.go("/", notice)


async def _begin(visit: Visit, form: Form) -> None:
    visit.session.begin(await visit.api.post("/api/v1/users/login", _credentials(form)))


def _credentials(form: Form) -> dict[str, str]:
    return {"email": form.text("email"), "password": form.secret("password")}


def _sign_in_form(visit: Visit, form: Form, back: str, error: Refused | None = None) -> Response:
    status = 200 if error is None else error.status
    return visit.show(
        "sign_in.html", status, form=form, back=back, error=error, problems=_problems(error)
    )


def _register_form(visit: Visit, form: Form, back: str, error: Refused | None = None) -> Response:
    status = 200 if error is None else error.status
    return visit.show(
        "register.html", status, form=form, back=back, error=error, problems=_problems(error)
    )


def _problems(error: Refused | None) -> Mapping[str, str]:
    if error is None:
        return {}
    if error.code == "email_taken":
        return {"email": error.detail}
    return {it["field"]: it["message"] for it in error.errors}


ROUTES: list[tuple[str, str, Handler]] = [
    ("/sign-in", "GET", ask_who),
    ("/sign-in", "POST", sign_in),
    ("/register", "GET", ask_name),
    ("/register", "POST", register),
    ("/sign-out", "POST", sign_out),
]
