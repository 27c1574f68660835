"""The page on which a payer approves or refuses a payment, as a bank's would ask.

It works without scripts, and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, StrictUndefined

from skyhold.kernel.http.routes import Routes

from .ledger import Ledger, Payment
from .moves import State

_STYLE = """
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto }
button { font: inherit; padding: .5rem 1.5rem; margin-right: 1rem }
form { display: inline }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ says }}</p>
{% if open %}
<form method="post" action="{{ here }}/approve"><button>Approve</button></form>
<form method="post" action="{{ here }}/refuse"><button>Refuse</button></form>
{% endif %}
<p><small>This is the sandbox: no money moves.</small></p>
</body>
</html>
"""
_SAID = {
    State.AUTHORIZED: "You have approved this payment. You can close this page.",
    State.CAPTURED: "This payment has been made. You can close this page.",
    State.REFUNDED: "This payment has been made and given back.",
    State.DECLINED: "You have refused this payment. You can close this page.",
    State.CANCELLED: "This payment was called off; there is nothing to approve any more.",
}
_template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
_style_hash = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_style_hash}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    # With no-referrer a browser would send `Origin: null` with the form, as any other site may.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

PaymentId = Annotated[str, Path(max_length=64)]


def challenges(ledger: Ledger) -> Routes:
    """The pages over this ledger."""
    router = Routes(prefix="/sandbox/challenges", include_in_schema=False)

    @router.get("/{payment_id}")
    async def show(payment_id: PaymentId) -> HTMLResponse:
        return _page(await ledger.get(payment_id))

    @router.post("/{payment_id}/{decision}")
    async def decide(payment_id: PaymentId, decision: Literal["approve", "refuse"]) -> Response:
        decided = ledger.approve if decision == "approve" else ledger.refuse
        payment = await decided(payment_id)
        if payment is None:
            return _page(None)
        # Shown by a request of its own, so that loading the page again decides nothing.
        here = f"/sandbox/challenges/{payment.id}"
        return RedirectResponse(here, HTTPStatus.SEE_OTHER, _HEADERS)

    return router


def _page(payment: Payment | None) -> HTMLResponse:
    if payment is None:
        title, says = "No such payment", "There is no such payment here."
    else:
        title = f"Payment of {payment.amount}"
        says = _SAID.get(payment.state, "There is nothing to approve.")
    is_open = payment is not None and payment.state is State.REQUIRES_ACTION
    content = _template.render(
        title=title,
        says="Somebody wants to pay this with your card. Was it you?" if is_open else says,
        style=_STYLE,
        open=is_open,
        here="" if payment is None else f"/sandbox/challenges/{payment.id}",
    )
    status = HTTPStatus.NOT_FOUND if payment is None else HTTPStatus.OK
    return HTMLResponse(content, status, _HEADERS)
