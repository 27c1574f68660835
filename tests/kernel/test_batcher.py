"""The Batcher's contract, sentence by sentence."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars, get_contextvars

from skyhold.kernel.batcher import Batcher, Overloaded
from skyhold.kernel.errors import Unavailable


class Desk:
    """Serves batches and keeps a record of them; a closed desk lets its batch wait.

    An item called 'refused…' gets an exception as its result, a batch with an item called
    'explodes…' raises.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.opening = asyncio.Event()
        self.opening.set()
        self._busy = False

    def shut(self) -> None:
        self.opening.clear()

    def open(self) -> None:
        self.opening.set()

    async def serve(self, items):
        assert not self._busy, "one batch at a time"
        self._busy = True
        self.batches.append(list(items))
        await self.opening.wait()
        self._busy = False
        for item in items:
            if item.startswith("explodes"):
                raise ValueError(item)
        return [
            PermissionError(item) if item.startswith("refused") else f"{item} served"
            for item in items
        ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def batcher(desk):
    batcher = Batcher(desk.serve, name="desk", batch_max=3, waiting_max=7)
    yield batcher
    desk.open()
    async with asyncio.timeout(5):
        await batcher.close()


def send(batcher, *items):
    """Callers who came in this order and now wait."""
    return [asyncio.create_task(batcher.submit(item)) for item in items]


async def answers_of(*callers):
    """What each of them got: a result, or the exception. Nobody may be left waiting."""
    async with asyncio.timeout(5):
        return await asyncio.gather(*callers, return_exceptions=True)


async def settle():
    """Let everybody go as far as they can; no time passes."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_item_that_finds_nobody_running_goes_out_at_once_and_alone(batcher, desk):
    desk.shut()
    [alone] = send(batcher, "a")
    await settle()
    assert desk.batches == [["a"]]
    desk.open()
    assert await answers_of(alone) == ["a served"]


async def test_while_a_batch_runs_the_next_one_gathers(batcher, desk):
    desk.shut()
    first = send(batcher, "a")
    await settle()
    second = send(batcher, "b") + send(batcher, "c")
    await settle()
    assert desk.batches == [["a"]]
    desk.open()
    assert await answers_of(*first, *second) == ["a served", "b served", "c served"]
    assert desk.batches == [["a"], ["b", "c"]]


async def test_items_go_out_in_the_order_they_came_and_at_most_batch_max_at_a_time(batcher, desk):
    desk.shut()
    callers = send(batcher, "a")
    await settle()
    callers += send(batcher, *"bcdefgh")
    await settle()
    desk.open()
    assert await answers_of(*callers) == [f"{item} served" for item in "abcdefgh"]
    assert desk.batches == [["a"], ["b", "c", "d"], ["e", "f", "g"], ["h"]]


async def test_after_a_rest_it_works_again(batcher, desk):
    assert await answers_of(batcher.submit("a")) == ["a served"]
    await settle()
    assert await answers_of(batcher.submit("b")) == ["b served"]
    assert desk.batches == [["a"], ["b"]]


async def test_a_result_that_is_an_exception_is_raised_to_its_caller_and_to_nobody_else(
    batcher, desk
):
    callers = send(batcher, "a", "refused", "b")
    before, refused, after = await answers_of(*callers)
    assert (before, after) == ("a served", "b served")
    assert isinstance(refused, PermissionError)
    assert desk.batches == [["a", "refused", "b"]]


async def test_when_run_raises_every_item_of_the_batch_is_run_again_alone(batcher, desk, logged):
    callers = send(batcher, "a", "explodes", "b")
    before, exploded, after = await answers_of(*callers)
    assert (before, after) == ("a served", "b served")
    assert isinstance(exploded, ValueError)
    assert desk.batches == [["a", "explodes", "b"], ["a"], ["explodes"], ["b"]]
    assert [line["event"] for line in logged] == ["batch.split"]


async def test_an_item_that_raises_alone_is_not_run_again(batcher, desk):
    [error] = await answers_of(batcher.submit("explodes"))
    assert isinstance(error, ValueError)
    assert desk.batches == [["explodes"]]
    assert await answers_of(batcher.submit("a")) == ["a served"]


async def test_unavailable_says_the_same_of_all_items_and_nothing_is_run_again():
    batches = []

    async def out_of_reach(items):
        batches.append(list(items))
        raise Unavailable

    callers = send(Batcher(out_of_reach, name="desk"), "a", "b", "c")
    answers = await answers_of(*callers)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert batches == [["a", "b", "c"]]


async def test_who_goes_away_while_waiting_takes_the_item_along(batcher, desk):
    desk.shut()
    callers = send(batcher, "a")
    await settle()
    callers += send(batcher, "b", "c", "d", "e")
    await settle()
    for gone in (callers[1], callers[3]):
        gone.cancel()
    await settle()
    desk.open()
    answers = await answers_of(*callers)
    # The two that stayed share a batch: who has gone takes up no room in it.
    assert desk.batches == [["a"], ["c", "e"]]
    assert [answers[0], answers[2], answers[4]] == ["a served", "c served", "e served"]
    assert callers[1].cancelled()
    assert callers[3].cancelled()


async def test_who_goes_away_later_has_the_item_carried_out_and_disturbs_nobody(batcher, desk):
    desk.shut()
    callers = send(batcher, "a", "b", "refused")
    await settle()
    callers[0].cancel()
    callers[2].cancel()
    late = send(batcher, "c")
    await settle()
    desk.open()
    assert await answers_of(callers[1], *late) == ["b served", "c served"]
    assert desk.batches == [["a", "b", "refused"], ["c"]]


async def test_who_stops_waiting_for_the_end_ends_nobody_elses_waiting(batcher, desk):
    desk.shut()
    callers = send(batcher, "a", "b")
    await settle()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batcher.close(), 0.01)
    desk.open()
    assert await answers_of(*callers) == ["a served", "b served"]


async def test_who_goes_away_from_a_full_queue_makes_room(batcher, desk):
    desk.shut()
    first = send(batcher, "a")
    await settle()
    callers = send(batcher, *"bcdefgh")
    await settle()
    with pytest.raises(Overloaded):
        await batcher.submit("too many")
    callers[2].cancel()
    await settle()
    more = send(batcher, "i")
    await settle()
    desk.open()
    await answers_of(*first, *callers[:2], *callers[3:])
    assert await answers_of(*more) == ["i served"]


async def test_a_full_queue_is_not_gone_through_for_everybody_it_turns_away(batcher, desk):
    desk.shut()
    callers = send(batcher, "a")
    await settle()
    callers += send(batcher, *"bcdefgh")
    await settle()
    queue = batcher._waiting
    for _ in range(3):
        with pytest.raises(Overloaded):
            await batcher.submit("too many")
    assert batcher._waiting is queue
    desk.open()
    await answers_of(*callers)


async def test_when_all_who_waited_have_gone_it_still_works_afterwards(batcher, desk):
    desk.shut()
    first = send(batcher, "a")
    await settle()
    gone = send(batcher, "b", "c")
    await settle()
    for caller in gone:
        caller.cancel()
    desk.open()
    await answers_of(*first)
    await settle()
    assert await answers_of(batcher.submit("d")) == ["d served"]
    assert desk.batches == [["a"], ["d"]]


async def test_with_waiting_max_items_waiting_a_further_one_is_refused(batcher, desk):
    desk.shut()
    callers = send(batcher, "a")
    await settle()
    callers += send(batcher, *"bcdefgh")  # seven wait
    await settle()
    one_too_many = send(batcher, "i")
    await settle()
    refusal = one_too_many[0].exception()
    assert isinstance(refusal, Overloaded)
    assert (refusal.status, refusal.code, refusal.retry_after_s) == (503, "overloaded", 1)

    desk.open()
    assert await answers_of(*callers) == [f"{item} served" for item in "abcdefgh"]
    assert await answers_of(batcher.submit("i")) == ["i served"]


async def test_close_lets_out_what_waits_and_refuses_what_comes_later(batcher, desk):
    desk.shut()
    callers = send(batcher, "a")
    await settle()
    callers += send(batcher, *"bcde")
    await settle()
    closing = asyncio.create_task(batcher.close())
    late = send(batcher, "f")
    await settle()
    assert isinstance(late[0].exception(), Overloaded)
    assert not closing.done()

    desk.open()
    await answers_of(closing)
    assert all(caller.done() for caller in callers)
    assert await answers_of(*callers) == [f"{item} served" for item in "abcde"]


async def test_an_idle_batcher_closes_at_once(batcher, desk):
    await answers_of(batcher.submit("a"))
    await answers_of(batcher.close())
    with pytest.raises(Overloaded):
        await batcher.submit("b")
    assert desk.batches == [["a"]]


async def test_when_the_loop_is_torn_down_nobody_is_left_waiting(batcher, desk):
    desk.shut()
    callers = send(batcher, "a")
    await settle()
    callers += send(batcher, "b", "c")
    await settle()
    batcher._worker.cancel()
    answers = await answers_of(*callers)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 3


async def test_who_runs_a_wrong_number_of_results_leaves_nobody_waiting():
    async def too_few(_items):
        return []

    answers = await answers_of(*send(Batcher(too_few, name="desk"), "a", "b"))
    assert [type(answer) for answer in answers] == [RuntimeError] * 2


async def test_a_batch_belongs_to_no_single_request():
    async def context(items):
        return [get_contextvars() for _ in items]

    with bound_contextvars(request_id="req-7"):
        assert await Batcher(context, name="desk").submit("a") == {}
        assert get_contextvars() == {"request_id": "req-7"}


@given(
    st.lists(st.sampled_from(["fine", "refused", "explodes"]), max_size=20),
    st.integers(min_value=1, max_value=5),
)
def test_every_caller_hears_of_the_own_item_whatever_the_neighbours_do(kinds, batch_max):
    items = [f"{kind} {number}" for number, kind in enumerate(kinds)]

    async def story():
        desk = Desk()
        callers = send(Batcher(desk.serve, name="desk", batch_max=batch_max), *items)
        return desk, await answers_of(*callers)

    desk, answers = asyncio.run(story())
    for item, answer in zip(items, answers, strict=True):
        expected = {"refused": PermissionError, "explodes": ValueError}.get(item.split()[0])
        if expected is None:
            assert answer == f"{item} served"
        else:
            assert type(answer) is expected
            assert str(answer) == item
    assert all(len(batch) <= batch_max for batch in desk.batches)
    first_time = list(dict.fromkeys(item for batch in desk.batches for item in batch))
    assert first_time == items


# --- many at once, and batches that are slow --------------------------------------------------


async def test_many_sent_at_once_go_out_in_their_order_and_each_has_its_own_result(batcher, desk):
    outcomes = await batcher.submit_all(["a", "refused", "c", "d"])

    assert desk.batches == [["a", "refused", "c"], ["d"]]
    assert outcomes[0] == "a served"
    assert outcomes[2:] == ["c served", "d served"]
    assert isinstance(outcomes[1], PermissionError)


async def test_of_many_those_that_find_no_room_are_refused_and_the_others_are_served(batcher, desk):
    outcomes = await batcher.submit_all([str(number) for number in range(9)])

    assert outcomes[:7] == [f"{number} served" for number in range(7)]
    assert all(isinstance(outcome, Overloaded) for outcome in outcomes[7:])


async def test_who_sent_many_and_goes_away_takes_along_what_did_not_go_out(batcher, desk):
    desk.shut()
    (first,) = send(batcher, "first")
    await settle()
    many = asyncio.create_task(batcher.submit_all(["a", "b"]))
    await settle()
    many.cancel()
    await settle()
    desk.open()

    assert await answers_of(first) == ["first served"]
    assert desk.batches == [["first"]]


class Lanes:
    """Serves any number of batches at a time; one of a slow item never ends by itself."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.end = asyncio.Event()

    async def serve(self, items):
        self.batches.append(list(items))
        if any(item.startswith("slow") for item in items):
            await self.end.wait()
        return [f"{item} served" for item in items]


async def test_a_slow_batch_does_not_hold_up_the_next_one_and_is_waited_for_at_the_end():
    lanes = Lanes()
    batcher = Batcher(lanes.serve, name="lanes", patience_s=0.01)
    slow, quick = send(batcher, "slow", "quick")  # of one batch
    await settle()
    assert await answers_of(*send(batcher, "later")) == ["later served"]
    assert not slow.done()
    assert not quick.done()

    closing = asyncio.create_task(batcher.close())
    await settle()
    assert not closing.done()
    lanes.end.set()
    assert await answers_of(slow, quick, closing) == ["slow served", "quick served", None]


async def test_only_so_many_slow_batches_are_under_way_at_once():
    lanes = Lanes()
    batcher = Batcher(lanes.serve, name="lanes", patience_s=0.001, lanes_max=2)
    callers = []
    for number in range(3):
        callers += send(batcher, f"slow {number}")
        await asyncio.sleep(0.05)
    assert lanes.batches == [["slow 0"], ["slow 1"]]

    lanes.end.set()
    assert await answers_of(*callers) == [f"slow {number} served" for number in range(3)]


async def test_when_the_loop_is_torn_down_nobody_waits_for_a_slow_batch():
    batcher = Batcher(Lanes().serve, name="lanes", patience_s=0.001)
    (slow,) = send(batcher, "slow")
    await asyncio.sleep(0.05)
    (next_one,) = send(batcher, "slow too")
    await settle()
    batcher._worker.cancel()
    for answer in await answers_of(slow, next_one):
        assert isinstance(answer, asyncio.CancelledError)
