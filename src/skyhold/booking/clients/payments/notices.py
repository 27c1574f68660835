"""What a payment provider sends of its own accord: that something has happened, and to what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Forged(Exception):
    """It does not bear the provider's signature, or is too old to be believed."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A reason to look. What has become of the payment is not in it: that is asked for."""

    id: str
    kind: str
    payment_id: str | None


Reader = Callable[[bytes, str | None], Notice]
"""From the body as it came and its signature; raises Forged."""
