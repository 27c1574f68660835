"""A hold as another service is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from skyhold.contracts.holds import Hold, HoldStatus
from skyhold.flight.models.holds import Decision, HoldRecord
from skyhold.kernel.errors import InternalError, Problem
from skyhold.kernel.http import problems
from skyhold.kernel.http.written import Written
from skyhold.kernel.money import WireMoney


def to_wire(hold: HoldRecord, now: datetime) -> Hold:
    """The wire form; what is left of the hold is told as a duration, rounded down."""
    return Hold.model_construct(**_plain(hold, now))


def to_answers(outcomes: Iterable[Decision | Exception], now: datetime) -> Written:
    """The `CommandAnswers` to a batch."""
    return Written(to_json({"answers": [_answer(outcome, now) for outcome in outcomes]}))


def _answer(outcome: Decision | Exception, now: datetime) -> dict[str, Any]:
    if isinstance(outcome, Decision):
        made = outcome.created and outcome.hold.status is HoldStatus.HELD  # and no tombstone
        return {"status": 201 if made else 200, "body": _plain(outcome.hold, now)}
    problem = outcome if isinstance(outcome, Problem) else InternalError()
    return {"status": problem.status, "body": problems.body_of(problem)}


def _plain(hold: HoldRecord, now: datetime) -> dict[str, Any]:
    """What a `Hold` says."""
    left_s = max(0, int((hold.expires_at - now).total_seconds()))
    total = hold.total()
    return {
        "hold_id": hold.id,
        "status": hold.status,
        "expires_in_s": left_s if hold.status is HoldStatus.HELD else None,
        "segments": list(hold.segments),
        "total": None if total is None else WireMoney.of(total),
    }
