"""What all pages share: the way to the API, the templates, the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined

from skyhold.kernel.client import Transport
from skyhold.kernel.clock import Clock

from . import filters
from .live import Live
from .static import Static


@dataclass(frozen=True, slots=True)
class TestToken:
    """One of the payment provider's tokens for trying things out, and what happens with it."""

    token: str
    says: str


@dataclass(frozen=True, slots=True)
class Site:
    """The pages' surroundings. `bookings` and `flights` lead to the API of either service.

    `secure` where browsers come over https only: cookies say so.
    """

    bookings: Transport
    flights: Transport
    clock: Clock
    templates: Environment
    secure: bool
    test_tokens: Sequence[TestToken]
    live: Live = field(default_factory=Live)


def templates(static: Static) -> Environment:
    """The environment that every page is drawn in; a name that is missing is an error."""
    environment = Environment(
        loader=PackageLoader("skyhold.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters.ALL)
    environment.globals["static"] = static.address
    return environment
