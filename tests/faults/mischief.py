"""What a proxy does to a request: the same for the same seed, link and number of the request."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

# Of every kind how many of a hundred requests it befalls.
MIX: Mapping[str, float] = {
    "drop_request": 1.5,  # it never arrives
    "drop_answer": 1.5,  # it was carried out, and nobody hears of it
    "late_answer": 1.0,  # its answer comes when nobody waits for it any more
    "duplicate": 2.0,  # it arrives twice
    "delay": 2.0,
    "reorder": 2.0,  # it is held back while later ones overtake it, and arrives then
    "cut": 1.0,  # the connection ends in the middle of the answer
    "truncate": 1.0,  # the answer is whole by its headers, or not, but its body is not
    "error_before": 1.0,  # a 5xx, and nothing was done
    "error_after": 1.5,  # a 5xx, although it was carried out
}
ERRORS = (500, 502, 503, 504)


@dataclass(frozen=True)
class Mischief:
    """What befalls one request. The numbers mean something to some kinds only."""

    kind: str
    pause_s: float
    overtakers: int
    share: float  # of the answer that passes
    status: int
    flip: bool


def decide(
    seed: int, link: str, number: int, scale: float = 1.0, mix: Mapping[str, float] = MIX
) -> Mischief | None:
    """What is to be done to this request; None: nothing, as to most."""
    chance = random.Random(f"{seed} {link} {number}")
    drawn = chance.uniform(0, 100)
    for kind, share in mix.items():
        drawn -= share * scale
        if drawn < 0:
            return Mischief(
                kind,
                pause_s=chance.uniform(0.05, 1.0),
                overtakers=chance.randint(1, 6),
                share=chance.uniform(0.1, 0.95),
                status=chance.choice(ERRORS),
                flip=chance.random() < 0.5,
            )
    return None
