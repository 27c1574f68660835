"""The screens that pages are looked at on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A screen: its name, and its width and height in CSS pixels."""

    name: str
    width: int
    height: int

    @property
    def size(self) -> dict[str, int]:
        """As the browser wants it."""
        return {"width": self.width, "height": self.height}


PHONE = Shape("360", 360, 740)
WIDE = Shape("1440", 1440, 900)
# What fits depends on the width and what can be read on the colours, so not all four are needed.
LOOKS = ((PHONE, "dark"), (WIDE, "light"))
