"""A plot of lines as SVG, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 190, 20, 60
STEPS = 5
COLOURS = ("#3b7dd8", "#d9822b", "#2e9e6b", "#a65bc4")
STYLE = (
    "text{font:13px sans-serif;fill:#24292f}.axis{stroke:#8c959f}.band{fill:#8c959f;opacity:.18}"
    "@media(prefers-color-scheme:dark){text{fill:#d0d7de}}"
)


@dataclass(frozen=True)
class Line:
    """A named line; one value for each place on the x axis."""

    name: str
    values: Sequence[float]


def plot(
    lines: Sequence[Line],
    places: Sequence[str],
    *,
    band: float,
    axis: str = "CPU, smallest size = 1",
    about: str = "Cost against size",
) -> str:
    """The lines over the places; 1 ± `band` is shaded. `axis` says what the height means."""
    most = max(1 + 2 * band, *(value for line in lines for value in line.values)) * 1.05

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(places)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most

    parts = [
        (
            f'<rect class="band" x="{LEFT}" y="{y(1 + band):.1f}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{y(1 - band) - y(1 + band):.1f}"/>'
        ),
        f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        (
            f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(axis)}</text>"
        ),
    ]
    for step in range(STEPS):
        value = most * step / (STEPS - 1)
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:.1f}", "end"))
    for place, name in enumerate(places):
        for row, words in enumerate(name.split(" and ")):
            parts.append(_text(x(place), HEIGHT - BOTTOM + 20 + 17 * row, words, "middle"))
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        dots = " ".join(f"{x(it):.1f},{y(value):.1f}" for it, value in enumerate(line.values))
        parts.append(f'<polyline points="{dots}" fill="none" stroke="{colour}" stroke-width="2"/>')
        height = TOP + 20 + 22 * number
        parts.append(f'<circle cx="{WIDTH - RIGHT + 16}" cy="{height - 4}" r="5" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 28, height, line.name, "start"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(about)}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
