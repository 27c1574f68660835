"""Two sorted streams side by side, and those that wait for a second look."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyhold.booking.services.audit import suspects as module
from skyhold.booking.services.audit.merge import merged
from skyhold.booking.services.audit.suspects import Suspect, Suspects

ids = st.lists(st.text("abc", min_size=1, max_size=3), unique=True)
cuts = st.lists(st.integers(0, 3), max_size=20)


async def pages(items, sizes):
    """The items in pages of these sizes, empty ones among them; the last page has the rest."""
    rest = iter(items)
    for size in sizes:
        yield list(itertools.islice(rest, size))
    yield list(rest)


async def side_by_side(left, right, left_cuts=(), right_cuts=()):
    ours = pages([(id, f"our {id}") for id in left], left_cuts)
    theirs = pages([(id, f"their {id}") for id in right], right_cuts)
    return [item async for batch in merged(ours, theirs) for item in batch]


@settings(max_examples=200)
@given(ids, ids, cuts, cuts)
async def test_every_id_comes_once_in_order_with_what_each_side_has(left, right, some, others):
    both = sorted({*left, *right})
    assert await side_by_side(sorted(left), sorted(right), some, others) == [
        (id, f"our {id}" if id in left else None, f"their {id}" if id in right else None)
        for id in both
    ]


@given(ids, ids, cuts, cuts)
async def test_sides_that_are_sorted_differently_lose_nothing(left, right, some, others):
    seen = await side_by_side(left, right, some, others)
    assert sorted(ours for _, ours, _ in seen if ours) == sorted(f"our {id}" for id in left)
    assert sorted(theirs for *_, theirs in seen if theirs) == sorted(f"their {id}" for id in right)


# --- suspects -------------------------------------------------------------------------------------


class Bench:
    """Those that are looked at; each of `restless` moves so many times."""

    def __init__(self, **restless):
        self.restless = restless
        self.looks = []
        self.slept = []

    async def look(self, some):
        self.looks.append([suspect.id for suspect in some])
        moved = [suspect for suspect in some if self.restless.get(suspect.id, 0) > 0]
        for suspect in moved:
            self.restless[suspect.id] -= 1
        return moved

    async def sleep(self, seconds):
        self.slept.append(seconds)


async def test_nobody_is_looked_at_before_the_time_has_come(monkeypatch):
    now = itertools.count(100.0, 0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    bench = Bench()
    suspects = Suspects(bench.look, 5.0, bench.sleep)
    await suspects.add(Suspect("a"))
    await suspects.look_again()
    assert bench.looks == []
    now = itertools.count(105.0, 0.0)
    await suspects.look_again()
    assert bench.looks == [["a"]]


async def test_who_moved_is_looked_at_again_and_given_up_in_the_end():
    bench = Bench(b=1, c=1_000)
    suspects = Suspects(bench.look, 0.0, bench.sleep)
    for id in "abc":
        await suspects.add(Suspect(id))
    await suspects.finish()
    seen = list(itertools.chain(*bench.looks))
    assert [seen.count(id) for id in "abc"] == [1, 2, module.LOOKS_MAX]
    assert suspects.given_up == 1


async def test_no_more_than_so_many_wait(monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 10)
    bench = Bench()
    suspects = Suspects(bench.look, 0.0, bench.sleep)
    for number in range(35):
        await suspects.add(Suspect(str(number)))
        assert len(suspects._waiting) <= 10
    await suspects.finish()
    assert list(itertools.chain(*bench.looks)) == [str(number) for number in range(35)]


@pytest.mark.parametrize("count", [1, 250])
async def test_they_are_looked_at_together_but_not_too_many_at_once(count):
    bench = Bench()
    suspects = Suspects(bench.look, 0.0, bench.sleep)
    for number in range(count):
        await suspects.add(Suspect(str(number)))
    await suspects.finish()
    assert max(map(len, bench.looks)) == min(count, module.IDS_MAX)
    assert len(bench.looks) == -(-count // module.IDS_MAX)
