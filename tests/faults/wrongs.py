"""What may be wrong with a run: a list of mischiefs, each with the law that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .little_run import LittleRun

Mischief = Callable[[LittleRun], None]


@dataclass
class Wrongs:
    """Functions that spoil a little run, noted by `breaks`."""

    cases: list[tuple[str, Mischief]] = field(default_factory=list)

    def breaks(self, law: str) -> Callable[[Mischief], Mischief]:
        """This mischief breaks this law."""

        def note(mischief: Mischief) -> Mischief:
            self.cases.append((law, mischief))
            return mischief

        return note
