"""The judge is judged: each law reports what breaks it, and nothing when nothing is wrong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from faults import wrong_seats_and_money, wrong_words_and_events
from faults.checker import LAWS, check
from faults.little_run import little_run

HERE = Path(__file__).parent
CASES = [*wrong_seats_and_money.WRONGS.cases, *wrong_words_and_events.WRONGS.cases]
JUDGES = ("checker.py", "evidence.py", "tables.py", "sampler.py", "listener.py", "run.py")


@pytest.mark.parametrize(
    ("law", "mischief"),
    [pytest.param(law, mischief, id=mischief.__name__) for law, mischief in CASES],
)
def test_what_breaks_a_law_is_reported_by_it(tmp_path, law, mischief):
    run = little_run()
    mischief(run)
    report = check(run.write(tmp_path))
    assert law in {found.law for found in report.violations}
    assert all(found.ids and found.text for found in report.violations)


def test_every_law_has_a_case():
    assert {law for law, _ in CASES} == set(LAWS)


def test_nothing_is_wrong_with_a_run_in_which_nothing_went_wrong(tmp_path):
    report = check(little_run().write(tmp_path))
    assert report.violations == []
    assert report.counts["operations"] == 14
    assert (report.counts["confirmed"], report.counts["captured"]) == (1, 2)
    assert report.counts["samples"] == 7


# --- the judge is nobody's friend ------------------------------------------------------------


def test_nothing_that_judges_is_imported_from_the_service():
    judges = [HERE / name for name in JUDGES] + sorted(HERE.glob("laws_*.py"))
    assert len(judges) > len(JUDGES)
    for file in judges:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert not any(name.partition(".")[0] == "skyhold" for name in names), file.name
