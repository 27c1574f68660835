"""The spool: sorting more than fits into memory."""

from __future__ import annotations

import random
import resource

import pytest

from skyhold.kernel.spool import Spool


@pytest.fixture
def spool():
    spool = Spool()
    yield spool
    spool.close()


async def everything(spool, limit):
    """All pages, one after the other."""
    found, after = [], None
    while page := await spool.page(after, limit):
        assert len(page) <= limit
        found += page
        after = page[-1]
    return found


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_records_come_out_in_the_order_of_their_keys_however_they_went_in(spool, limit):
    records = [(f"{number:04x}", str(number)) for number in range(50)]
    shuffled = random.Random(7).sample(records, len(records))
    for first in range(0, 50, 20):
        await spool.add(shuffled[first : first + 20])
    assert await everything(spool, limit) == records


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_records_of_one_key_are_kept_side_by_side_unless_they_are_equal(spool, limit):
    await spool.add([("a", "y"), ("b", "z"), ("a", "x")])
    await spool.add([("a", "y"), ("a", "y2")])
    assert await everything(spool, limit) == [("a", "x"), ("a", "y"), ("a", "y2"), ("b", "z")]


async def test_an_empty_one_has_no_page(spool):
    await spool.add([])
    assert await spool.page(None, 10) == []


async def test_keys_are_compared_byte_by_byte(spool):
    keys = ["B", "a", "é", "b ", "b"]
    await spool.add([(key, "") for key in keys])
    assert [key for key, _ in await everything(spool, 2)] == sorted(keys)


async def test_what_does_not_fit_into_memory_goes_to_disk(spool):
    def peak_kb():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    text = "x" * 1_000
    await spool.add([(f"{number:08}", text) for number in range(1_000)])
    before = peak_kb()
    for first in range(1_000, 100_000, 1_000):
        await spool.add([(f"{number:08}", text) for number in range(first, first + 1_000)])
    assert peak_kb() - before < 30_000, "of the hundred megabytes that went in"
    assert (await spool.page(("00099998", text), 10)) == [("00099999", text)]
