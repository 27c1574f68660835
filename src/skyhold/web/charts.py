"""Small charts, drawn on the server: where the bars of a picture are, in the units of its view.

The templates make SVG of them, and a table of the same figures for who does not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Lying bars have words beside them: as narrow as a phone, so that these stay as large as text.
ROWS_WIDTH, ROW, BAR = 320, 30, 18
LABELS, VALUES = 120, 48  # what is kept free at both ends, for words and figures
ROOM = ROWS_WIDTH - LABELS - VALUES
COLUMNS_WIDTH, COLUMNS_HEIGHT, GAP = 480, 64, 2

Counts = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar for one figure. `of` is what it could be at most, where there is such a thing."""

    label: str
    value: int
    x: float
    y: float
    width: float
    height: float
    of: int | None = None

    @property
    def says(self) -> str:
        """The figure in words."""
        if self.of is None:
            return f"{self.label}: {self.value}"
        return f"{self.label}: {self.value} of {self.of}, {self.percent} %"

    @property
    def whole(self) -> float:
        """How long it would be if it were all that it could be."""
        return 0.0 if self.of is None else float(ROOM)

    @property
    def percent(self) -> int:
        """Which part of the most it could be; rounded so that only all is 100, and nothing 0."""
        if not self.of or self.value in (0, self.of):
            return 100 if self.of and self.value else 0
        return min(99, max(1, round(100 * self.value / self.of)))


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and its title."""

    title: str
    bars: Sequence[Bar]
    width: int
    height: int

    @property
    def says(self) -> str:
        """All of it in one sentence: the figures, or of very many what matters of them."""
        if len(self.bars) <= 8:  # noqa: PLR2004 - more is no sentence
            return f"{self.title}. {'; '.join(bar.says for bar in self.bars)}."
        most = max(self.bars, key=lambda bar: bar.value)
        total = sum(bar.value for bar in self.bars)
        return f"{self.title}: {total} in all, most of them at {most.label} ({most.value})."


def lying(title: str, counts: Counts) -> Chart:
    """One bar below the other; the longest is as long as there is room."""
    most = max((value for _, value in counts), default=0)
    return _rows(title, [(label, value, most) for label, value in counts], with_most=False)


def load(title: str, cabins: Sequence[Mapping[str, Any]]) -> Chart:
    """How full the cabins of a flight are."""
    rows = [
        (it["cabin"], it["seats_total"] - it["seats_available"], it["seats_total"]) for it in cabins
    ]
    return _rows(title, rows, with_most=True)


def standing(title: str, counts: Counts, most: int) -> Chart:
    """One column beside the other, in proportion to `most`, so that several charts compare."""
    step = COLUMNS_WIDTH / max(1, len(counts))
    bars = []
    for nth, (label, value) in enumerate(counts):
        height = _part(value, most, COLUMNS_HEIGHT)
        x, y = round(nth * step, 2), round(COLUMNS_HEIGHT - height, 2)
        bars.append(Bar(label, value, x, y, round(step - GAP, 2), height))
    return Chart(title, bars, COLUMNS_WIDTH, COLUMNS_HEIGHT)


def _rows(title: str, rows: Sequence[tuple[str, int, int]], *, with_most: bool) -> Chart:
    bars = [
        Bar(
            label,
            value,
            x=LABELS,
            y=nth * ROW + (ROW - BAR) / 2,
            width=_part(value, most, ROOM),
            height=BAR,
            of=most if with_most else None,
        )
        for nth, (label, value, most) in enumerate(rows)
    ]
    return Chart(title, bars, ROWS_WIDTH, ROW * len(rows))


def _part(value: int, most: int, room: float) -> float:
    """How long it is; what is not nothing can be seen."""
    return max(1.0, round(room * value / most, 2)) if value and most else 0.0
