"""Holds: what the booking service asks of the flight service, and what it is told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from skyhold.kernel.ids import UUID
from skyhold.kernel.money import WireMoney
from skyhold.kernel.types import Matching

PARTY_MAX = 9
SEGMENTS_MAX = 6
PAGE_MAX = 500
IDS_MAX = 100
BATCH_MAX = 64

FLIGHT_ID = Matching(
    r"[A-Z0-9]{2}[0-9]{1,4}-[0-9]{4}-[0-9]{2}-[0-9]{2}-[A-Z]{3}",
    says="must be the id of a flight, such as UA1545-2026-12-01-EWR",
)
SEAT = Matching(
    r"[1-9][0-9]?[A-HJ-Z]",
    says="must be a row and a capital letter, such as 12A",
)
REQUEST_ID = Matching(
    r"[A-Za-z0-9._-]{1,64}",
    says="must be 1 to 64 letters, digits, dots, dashes or underscores",
)
FlightId = Annotated[str, Field(examples=["UA1545-2026-12-01-EWR"]), FLIGHT_ID]
SeatNumber = Annotated[str, Field(examples=["12A"]), SEAT]


class Cabin(StrEnum):
    """The cabins of an aircraft, front to back."""

    FIRST = "first"
    BUSINESS = "business"
    PREMIUM_ECONOMY = "premium_economy"
    ECONOMY = "economy"


class HoldStatus(StrEnum):
    """Where a hold stands. It leaves `held` at most once."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmentWanted(_Wire):
    """Seats on one flight: these ones, or so many."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [name], "properties": {name: {"type": kind}}}
                for name, kind in (("seats", "array"), ("count", "integer"))
            ]
        }
    )

    flight_id: FlightId
    cabin: Cabin = Cabin.ECONOMY
    seats: list[SeatNumber] | None = Field(None, min_length=1, max_length=PARTY_MAX)
    count: int | None = Field(None, ge=1, le=PARTY_MAX, strict=True)

    @model_validator(mode="after")
    def _one_of_both(self) -> SegmentWanted:
        if (self.seats is None) == (self.count is None):
            msg = "give either seats or count"
            raise ValueError(msg)
        return self

    @property
    def party(self) -> int:
        """How many seats."""
        return self.count if self.seats is None else len(self.seats)  # type: ignore[return-value]


class HoldWanted(_Wire):
    """All of these seats, or none, for `ttl_s` seconds."""

    segments: list[SegmentWanted] = Field(min_length=1, max_length=SEGMENTS_MAX)
    ttl_s: int = Field(ge=1, le=86_400, strict=True, description="Seconds until the hold ends")
    expected_total: WireMoney | None = Field(
        None, description="Refuse with price_changed when the seats cost anything else"
    )


class HeldSegment(BaseModel):
    """Seats of one flight as they were promised: the price of one seat and the flight's facts."""

    model_config = ConfigDict(frozen=True)

    flight_id: FlightId
    flight_number: str
    origin: str
    destination: str
    departing_at: AwareDatetime
    arriving_at: AwareDatetime
    cabin: Cabin
    seats: list[SeatNumber] = Field(min_length=1, max_length=PARTY_MAX)
    fare: WireMoney
    flight_ver: int = Field(0, ge=0, description="How often the flight had been changed by then")


class Hold(BaseModel):
    """A hold. `expires_in_s` is what is left of it, and null once it is confirmed."""

    model_config = ConfigDict(frozen=True)

    hold_id: str
    status: HoldStatus
    expires_in_s: int | None = Field(ge=0, le=86_400)
    segments: list[HeldSegment]
    total: WireMoney | None


class _Command(_Wire):
    hold_id: Annotated[str, UUID]
    request_id: Annotated[str, REQUEST_ID] | None = Field(
        None, description="In the course of which request it is asked, for the logs"
    )


class HoldCommand(_Command):
    """What `PUT /holds/{hold_id}` asks."""

    do: Literal["hold"]
    wanted: HoldWanted


class ConfirmCommand(_Command):
    """What `PUT /holds/{hold_id}/confirmation` asks."""

    do: Literal["confirm"]


class ReleaseCommand(_Command):
    """What `DELETE /holds/{hold_id}` asks."""

    do: Literal["release"]
    cancel: bool = Field(default=False, strict=True, description="Also when the hold is confirmed")


WireCommand = HoldCommand | ConfirmCommand | ReleaseCommand


class Commands(_Wire):
    """Many calls in one request; each is carried out, or refused, as if it had come alone."""

    commands: list[Annotated[WireCommand, Field(discriminator="do")]] = Field(
        min_length=1, max_length=BATCH_MAX
    )


class CommandAnswer(BaseModel):
    """What the call would have been answered by itself: a hold, or a problem."""

    model_config = ConfigDict(frozen=True)

    status: int = Field(examples=[201])
    body: dict[str, Any]


class CommandAnswers(BaseModel):
    """One for each command, in their order."""

    model_config = ConfigDict(frozen=True)

    answers: list[CommandAnswer]


class Seats(BaseModel):
    """Seats of one flight, in no particular order."""

    model_config = ConfigDict(frozen=True)

    flight_id: str
    seats: list[str]


class HoldFacts(BaseModel):
    """How a hold stands and whether its seats are claimed for it: for whoever compares.

    `status` is null for seats that are claimed for a hold nobody has. `over_s` says for how many
    seconds the time of a hold that still stands as held has been up. The seats of a hold that is
    held or confirmed are claimed, each of them, and no other hold has any: then `unclaimed` and
    `surplus` are empty.
    """

    model_config = ConfigDict(frozen=True)

    hold_id: str
    status: HoldStatus | None
    age_s: int | None = Field(ge=0, description="Seconds since it was made")
    over_s: int | None = Field(ge=0)
    segments: list[Seats]
    unclaimed: list[Seats] = Field(description="Seats that it has, and that nobody claims for it")
    surplus: list[Seats] = Field(description="Seats claimed for it that it does not have")


class HoldsPage(BaseModel):
    """Holds in the order of their ids; `next` is the id to go on after, null at the end."""

    model_config = ConfigDict(frozen=True)

    data: list[HoldFacts]
    next: str | None
