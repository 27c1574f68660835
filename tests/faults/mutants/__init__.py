"""Bugs planted on purpose, to see whether the rig reports them.

A mutant is a few edits to a copy of the service's source. The text that an edit takes the place of
has to stand there exactly once: when the code has moved on, a mutant says so instead of doing
nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

SRC = Path(__file__).parents[3] / "src"
PACKAGE = "skyhold"

# Most bugs show without any faults, as soon as buyers are not alone.
CALM = {"calm": True}


class DoesNotApply(Exception):
    """The code that a mutant changes is not there any more, or there twice."""


@dataclass(frozen=True)
class Edit:
    """In one file, one piece of text in the place of another."""

    file: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """The file's text with the edit made. Raises DoesNotApply."""
        times = source.count(self.old)
        if times != 1:
            msg = f"{self.file} has this {times} times, and not once:\n{self.old}"
            raise DoesNotApply(msg)
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """A planted bug: what it is, the laws that it should break, and what brings it out.

    `options` are those of the rig; a bug that needs a rare moment may ask for more of them.
    """

    name: str
    plants: str
    laws: frozenset[str]
    edits: Sequence[Edit]
    seed: int = 1
    options: Mapping[str, object] = field(default_factory=dict)

    def files(self) -> dict[str, str]:
        """The files it changes, as they are then. Raises DoesNotApply."""
        changed: dict[str, str] = {}
        for edit in self.edits:
            text = changed.get(edit.file) or (SRC / PACKAGE / edit.file).read_text()
            changed[edit.file] = edit.apply(text)
        return changed

    def plant(self, folder: Path) -> Path:
        """A copy of the source with the bug in it."""
        shutil.copytree(SRC, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file, text in self.files().items():
            (folder / PACKAGE / file).write_text(text)
        return folder


def edit(file: str, old: str, new: str) -> Edit:
    """An edit; both texts may be indented as the code around them is written here."""
    return Edit(file, _flush(old), _flush(new))


def _flush(text: str) -> str:
    """Without the indentation that is this file's, with a `|` where the code's begins."""
    lines = dedent(text).strip("\n").split("\n")
    return "\n".join(line.removeprefix("|") for line in lines)
