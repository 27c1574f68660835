"""Choosing seats for a party: together where the cabin allows it.

Best is side by side in one row; then one row across an aisle; then a block over two rows, one
behind the other; then whatever lies closest. Among equals the one nearest the front, but rather a
few rows further back than leave a single seat stranded: the next party wants to sit together too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from .layout import CabinLayout, Seat

Choice = tuple[Seat, ...]

ROWS_FOR_A_STRANDED_SEAT = 5


def assign(cabin: CabinLayout, taken: AbstractSet[str], party: int) -> Choice | None:
    """Seats for `party` people in this cabin, or None when there are not so many left."""
    return (
        _best(_free(cabin, taken), _touching, party)
        or _best(_free(cabin, taken), _same_row(cabin), party)
        or _scattered(list(_free(cabin, taken)), cabin, party)
    )


def _free(cabin: CabinLayout, taken: AbstractSet[str]) -> Iterator[Sequence[Seat]]:
    """Each row's free seats, from the front."""
    for row in cabin.rows:
        if row.sellable.keys() <= taken:
            yield ()
        else:
            yield [seat for number, seat in row.sellable.items() if number not in taken]


def _touching(left: Seat, right: Seat) -> bool:
    return right.column == left.column + 1


def _same_row(cabin: CabinLayout) -> Callable[[Seat, Seat], bool]:
    def joined(left: Seat, right: Seat) -> bool:
        between = cabin.columns[left.column + 1 : right.column]
        return all(letter is None for letter in between)

    return joined


def _runs(row: Sequence[Seat], joined: Callable[[Seat, Seat], bool]) -> Iterator[Choice]:
    """The longest stretches of a row's free seats in which neighbours are joined."""
    run: list[Seat] = []
    for seat in row:
        if run and not joined(run[-1], seat):
            yield tuple(run)
            run = []
        run.append(seat)
    if run:
        yield tuple(run)


def _windows(runs: Sequence[Choice], party: int) -> Iterator[Choice]:
    for run in runs:
        for start in range(len(run) - party + 1):
            yield run[start : start + party]


def _best(
    rows: Iterable[Sequence[Seat]], joined: Callable[[Seat, Seat], bool], party: int
) -> Choice | None:
    """The best stretch in one row; rows are looked at from the front, and only while it pays."""
    best: Choice | None = None
    least = (0, 0)
    for row in rows:
        if not row:
            continue
        if best is not None and row[0].row > least[0]:
            break  # a choice costs at least the number of its row
        runs = list(_runs(row, _touching))
        length = {seat.number: len(run) for run in runs for seat in run}
        start = {seat.number: run[0].column for run in runs for seat in run}
        stretches = runs if joined is _touching else list(_runs(row, joined))
        for choice in _windows(stretches, party):
            stranded = _stranded(choice, length, start)
            cost = (choice[0].row + stranded * ROWS_FOR_A_STRANDED_SEAT, choice[0].column)
            if best is None or cost < least:
                best, least = choice, cost
            if not stranded:
                break  # of this row none further right is better
    return best


def _stranded(choice: Choice, length: dict[str, int], start: dict[str, int]) -> int:
    """How many seats the choice would leave free with no free neighbour."""
    stranded = 0
    for run in _runs(choice, _touching):
        before = run[0].column - start[run[0].number]
        after = length[run[0].number] - before - len(run)
        stranded += (before == 1) + (after == 1)
    return stranded


def _scattered(rows: Sequence[Sequence[Seat]], cabin: CabinLayout, party: int) -> Choice | None:
    if sum(map(len, rows)) < party:
        return None
    return _closest_block(rows, cabin, party) or _closest(rows, party)


def _closest_block(rows: Sequence[Sequence[Seat]], cabin: CabinLayout, party: int) -> Choice | None:
    """Two halves, each in one row, as nearly behind one another as can be."""
    larger, smaller = (party + 1) // 2, party // 2
    joined = _same_row(cabin)
    blocks = (
        ahead + behind
        for front, back in pairwise(rows)
        for in_front in {larger, smaller}
        for ahead in _windows(list(_runs(front, joined)), in_front)
        for behind in _windows(list(_runs(back, joined)), party - in_front)
    )
    overlapping = (block for block in blocks if _drift(block) < larger + _aisles(cabin))
    return min(overlapping, key=lambda block: (_drift(block), block[0].row), default=None)


def _closest(rows: Sequence[Sequence[Seat]], party: int) -> Choice:
    free = tuple(seat for row in rows for seat in row)
    return min(
        _windows([free], party),
        key=lambda choice: (choice[-1].row - choice[0].row, _drift(choice), choice[0].row),
    )


def _drift(choice: Choice) -> int:
    columns = [seat.column for seat in choice]
    return max(columns) - min(columns)


def _aisles(cabin: CabinLayout) -> int:
    return sum(letter is None for letter in cabin.columns)
