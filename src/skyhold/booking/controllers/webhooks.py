"""POST /api/v1/payments/webhooks/stripe: for the provider, not for people."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from skyhold.booking.services.webhooks import Webhooks
from skyhold.kernel.errors import NotFound
from skyhold.kernel.http.routes import Routes

router = Routes(prefix="/api/v1/payments/webhooks", include_in_schema=False)


async def webhooks_of(request: Request) -> Webhooks:
    """Who hears the provider; nobody where the provider is another one."""
    webhooks: Webhooks | None = request.app.state.booking.webhooks
    if webhooks is None:
        raise NotFound
    return webhooks


Doorbell = Annotated[Webhooks, Depends(webhooks_of)]


@router.post("/stripe")
async def stripe(
    doorbell: Doorbell, request: Request, stripe_signature: Annotated[str | None, Header()] = None
) -> dict[str, bool]:
    """The body exactly as it came: that is what Stripe has signed."""
    await doorbell.hear(await request.body(), stripe_signature)
    return {"received": True}
