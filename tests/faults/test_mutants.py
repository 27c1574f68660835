"""The planted bugs can be planted: a mutant that does nothing would be reported by nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from faults.checker import LAWS
from faults.mutants import DoesNotApply, Edit, edit
from faults.mutants.__main__ import MUTANTS

RUFF = Path(sys.executable).with_name("ruff")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_applies_to_the_code(mutant):
    """And uses no name that is not there: a service that can do nothing breaks no law either."""
    for file, text in mutant.files().items():
        said = subprocess.run(
            [RUFF, "check", "--isolated", "--select=F821,F823", "--stdin-filename", file, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stdout
    assert mutant.laws <= set(LAWS)


def test_every_mutant_has_a_name_of_its_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(("text", "times"), [("b = 1", 0), ("a = 1\na = 1", 2)])
def test_an_edit_that_does_not_fit_exactly_once_says_so(text, times):
    with pytest.raises(DoesNotApply, match=f"x.py has this {times} times"):
        Edit("x.py", "a = 1", "a = 2").apply(text)


def test_an_edit_keeps_the_indentation_of_the_code():
    change = edit(
        "x.py",
        """
        |    if a:
        |        b()
        """,
        """
        |    if b:
        |        a()
        """,
    )
    assert change.apply("def f():\n    if a:\n        b()\n") == (
        "def f():\n    if b:\n        a()\n"
    )
