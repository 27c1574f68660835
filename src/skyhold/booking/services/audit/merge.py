"""Two streams of pages in the order of ids, laid side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Generic, TypeVar

Left = TypeVar("Left")
Right = TypeVar("Right")
Item = TypeVar("Item")

Pages = AsyncIterator[Sequence[tuple[str, Item]]]


async def merged(
    left: Pages[Left], right: Pages[Right]
) -> AsyncIterator[list[tuple[str, Left | None, Right | None]]]:
    """Every id of either stream with what each has of it; a page of both is in memory at a time.

    Where the two are sorted differently, an id can come twice, with one side each; never not at
    all.
    """
    ours, theirs = _Side(left), _Side(right)
    while True:
        await ours.fill()
        await theirs.fill()
        if not ours.items and not theirs.items:
            return
        joined = _joined(ours, theirs)
        yield list(joined)


class _Side(Generic[Item]):
    def __init__(self, pages: Pages[Item]) -> None:
        self._pages = pages
        self.items: deque[tuple[str, Item]] = deque()
        self.has_ended = False

    async def fill(self) -> None:
        """The next page, once the one before is used up; an empty one may come in between."""
        while not self.items and not self.has_ended:
            page = await anext(self._pages, None)
            if page is None:
                self.has_ended = True
            else:
                self.items.extend(page)


def _joined(
    ours: _Side[Left], theirs: _Side[Right]
) -> Iterator[tuple[str, Left | None, Right | None]]:
    """As far as both sides are known."""
    left: Left
    right: Right
    while (ours.items or ours.has_ended) and (theirs.items or theirs.has_ended):
        if not ours.items and not theirs.items:
            return
        if not theirs.items or (ours.items and ours.items[0][0] < theirs.items[0][0]):
            id_, left = ours.items.popleft()
            yield id_, left, None
        elif not ours.items or theirs.items[0][0] < ours.items[0][0]:
            id_, right = theirs.items.popleft()
            yield id_, None, right
        else:
            id_, left = ours.items.popleft()
            yield id_, left, theirs.items.popleft()[1]
