"""The operations that are measured, and what each of them may cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

# The floors: an endpoint that does nothing, and a transaction that does next to nothing.
FLOOR, RAW = "bare", "raw_commit"


class Needs(Enum):
    """What an operation finds in `world.flights`."""

    NOTHING = auto()
    FRESH = auto()  # new flights, on which nothing is sold
    SOLD_OUT = auto()


@dataclass(frozen=True)
class Operation:
    """One of them; `target` is how many times the floor it may cost, None where none is set."""

    name: str
    service: str
    script: str
    status: str
    target: float | None
    needs: Needs = Needs.NOTHING


OPERATIONS = (
    Operation("create", "booking", "create", "201", 5, Needs.FRESH),
    Operation("create_hot", "booking", "create_hot", "201", 5, Needs.FRESH),
    Operation("create_and_pay", "booking", "create_and_pay", "201", 12, Needs.FRESH),
    Operation("read", "booking", "read", "200", 3),
    Operation("search", "flight", "search", "200", 6),
    Operation("seat_map", "flight", "seat_map", "200", 4),
    Operation("sold_out", "booking", "create", "409", None, Needs.SOLD_OUT),
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
# What latest.json tells of; the others are for people.
LATEST = ("create", "create_hot", "create_and_pay", "read", "search", "seat_map")
