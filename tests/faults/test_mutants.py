"""The planted bugs can be planted: a mutant that does nothing would be reported by nobody."""

from __future__ import annotations

import ast

import pytest

from faults.checker import LAWS
from faults.mutants import DoesNotApply, Edit, edit
from faults.mutants.__main__ import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_applies_to_the_code(mutant):
    for file, text in mutant.files().items():
        ast.parse(text, filename=file)
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
