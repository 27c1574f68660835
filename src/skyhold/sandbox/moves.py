"""Where a payment at the sandbox may stand, and what may become of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    CAPTURED = "captured"
    CAPTURE_REFUSED = "capture_refused"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Op(StrEnum):
    """What can be asked of a payment: by the customer's system, and by the payer."""

    AUTHORISE = "authorise"
    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"
    APPROVE = "approve"
    REFUSE = "refuse"


UNCOLLECTED = (
    State.PENDING,
    State.REQUIRES_ACTION,
    State.AUTHORIZED,
    State.DECLINED,
    State.CAPTURE_REFUSED,
)
MOVES: Mapping[Op, Mapping[State, State]] = {
    Op.AUTHORISE: {},  # a repeat finds the payment where it is
    Op.CAPTURE: {State.AUTHORIZED: State.CAPTURED},
    Op.CANCEL: dict.fromkeys(UNCOLLECTED, State.CANCELLED),
    Op.REFUND: {State.CAPTURED: State.REFUNDED},
    Op.APPROVE: {State.REQUIRES_ACTION: State.AUTHORIZED},
    Op.REFUSE: {State.REQUIRES_ACTION: State.DECLINED},
}
BY_PAYER = frozenset({Op.APPROVE, Op.REFUSE})
