"""The points themselves: each stands once, each is somebody's, and off they do nothing."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import skyhold
from skyhold.kernel import failpoints
from skyhold.kernel.failpoints import VARIABLE, reach
from skyhold.kernel.settings import SettingsError

from .stories import STORIES

SOURCE = Path(skyhold.__file__).parent


def points_in(file: Path) -> Iterator[str]:
    """What `reach` is called with; whoever looks for a point by its name must find it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "reach":
            (name,) = node.args
            assert isinstance(name, ast.Constant), f"{file}:{node.lineno} is no plain name"
            yield name.value


def test_every_point_is_in_a_story_and_every_story_is_about_points_there_are():
    in_source = Counter(name for file in SOURCE.rglob("*.py") for name in points_in(file))
    in_stories = {name for story in STORIES for name in story.names}
    assert in_source == dict.fromkeys(in_stories, 1)


def test_the_families_are_the_scenarios_that_have_to_be_covered():
    families = {name.partition(".")[0] for story in STORIES for name in story.names}
    assert families >= {"book", "pay", "cancel", "expire", "refund", "void", "relay", "consume"}


# --- off, armed, telling -----------------------------------------------------------------------

WALK = """
from skyhold.kernel import failpoints, logging
logging.configure()
failpoints.arm()
for step in range(1, 4):
    failpoints.reach("walk.left")
    failpoints.reach("walk.right")
    print(step, flush=True)
"""


def walk(point: str | None) -> tuple[int, str, list[str]]:
    """How a process ends that walks three steps, how far it came, and what it told of points."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", WALK],
        env=environment | ({} if point is None else {VARIABLE: point}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line.split()[-1] for line in done.stderr.splitlines() if line.startswith("skyhold:")]
    return done.returncode, done.stdout.replace("\n", ""), told


@pytest.mark.parametrize(
    ("point", "ending", "steps", "told"),
    [
        (None, 0, "123", []),
        ("", 0, "123", []),
        ("walk.left", -signal.SIGKILL, "", ["walk.left"]),
        ("walk.right:3", -signal.SIGKILL, "12", ["walk.right"]),
        ("walk.right:4", 0, "123", []),
        ("walk.nowhere", 0, "123", []),
        ("?", 0, "123", ["walk.left", "walk.right"] * 3),
    ],
)
def test_a_process_dies_where_it_was_told_to_and_nowhere_else(point, ending, steps, told):
    assert walk(point) == (ending, steps, told)


@pytest.mark.parametrize("point", ["book", "book.held:0", "book.held:x", "Book.Held", "book held"])
def test_a_point_that_makes_no_sense_is_refused_in_a_sentence(monkeypatch, point):
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setenv(VARIABLE, point)
    with pytest.raises(SettingsError, match=r"^SKYHOLD_FAILPOINT should look like book\.held"):
        failpoints.arm()
    reach("book.held")


def test_a_process_that_is_armed_says_so(monkeypatch):
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setenv(VARIABLE, "book.held:7")
    with capture_logs() as lines:
        failpoints.arm()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("failpoint.armed", "warning")
    ]
    assert lines[0]["point"] == "book.held:7"
