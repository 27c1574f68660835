"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .nemesis import ALL_KINDS

# Backoffs may have doubled to about a minute while nothing answered, and a change of a flight is
# not called done before it is a minute old.
QUIET_WITHIN_S = 240.0


@dataclass(frozen=True)
class Options:
    """A seed is all it takes.

    `scale` multiplies how often the proxies do harm; `mix` says for a link, by its name, which
    harm that is, in the place of `mischief.MIX`. `whole` prolongs the trouble until the nemesis
    has done everything to every part once.
    `only` names kinds of blows, or a kind and a part: `kill` or `kill:worker-1`.
    """

    seed: int
    minutes: float = 5.0
    db: str = "sqlite"
    src: Path | None = None
    folder: Path | None = None
    keep: bool = False
    calm: bool = False
    whole: bool = False
    only: Sequence[str] = ALL_KINDS
    mutant: str | None = None
    buyers: int = 20
    haproxy: bool = False
    think_s: float = 1.0
    strike_every_s: float = 3.0
    scale: float = 1.0
    mix: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    quiet_within_s: float = QUIET_WITHIN_S
    say: Callable[[str], None] = lambda _: None
