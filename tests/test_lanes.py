"""Which tests may run at the same time."""

from __future__ import annotations

from pathlib import Path

from support.lanes import ONE_LANE, TOGETHER, lane

HERE = Path(__file__).parent


def test_who_starts_and_kills_processes_meets_nobody_who_does_the_same():
    assert {lane(f"tests/{folder}/test_any.py::test_it[sqlite]") for folder in ONE_LANE} == {
        "processes"
    }


def test_a_file_stays_together_and_some_folders_do():
    files = ("tests/kernel/test_jobs.py", "tests/kernel/test_inbox.py", "tests/test_supply.py")
    assert [lane(f"{file}::test_it[a/b::c]") for file in files] == list(files)
    both = ("tests/security/test_raw.py::test_it", "tests/security/test_matrix.py::test_it")
    assert {lane(test) for test in both} == {"security"}


def test_what_is_named_there_is_there():
    for folder in ONE_LANE | TOGETHER:
        assert list((HERE / folder).glob("test_*.py")), folder
