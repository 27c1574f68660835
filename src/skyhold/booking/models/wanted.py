"""What the desk looks bookings up by."""

from __future__ import annotations

from dataclasses import dataclass

from .booking import BookingStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """Bookings by exactly one of the first three; of those, the ones in one state."""

    record_locator: str | None = None
    family_name: str | None = None
    flight_id: str | None = None
    status: BookingStatus | None = None

    def __post_init__(self) -> None:
        """More than one of them would be a question of its own."""
        named = [self.record_locator, self.family_name, self.flight_id]
        assert len(named) - named.count(None) == 1, named


def spellings(name: str) -> frozenset[str]:
    """The ways to write a name that are looked for: as it is, as a form or a ticket has it.

    Names are kept as they were typed and compared code point by code point, on every engine, so
    that an index serves; `McDonald` is found by `McDonald`, and not by `mcdonald`.
    """
    return frozenset({name, name.upper(), name.lower(), name.title(), name.capitalize()})
