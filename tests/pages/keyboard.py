"""Somebody who has a keyboard and nothing else."""

from __future__ import annotations

from playwright.async_api import Locator, Page

TABS_MAX = 60
# A part that the browser draws by itself, as a date's calendar, shows its focus by itself, too.
_AMISS = """() => {
  const it = document.activeElement;
  if (!it || it === document.body) return "nothing has the focus";
  const box = it.getBoundingClientRect();
  if (box.bottom <= 0 || box.top >= innerHeight) return "it is off the screen";
  if (!it.matches(":focus")) return "";
  const hex = getComputedStyle(document.documentElement).getPropertyValue("--focus").trim();
  const [r, g, b] = hex.match(/[0-9a-f]{2}/gi).map(part => parseInt(part, 16));
  const colour = `rgb(${r}, ${g}, ${b})`;
  const isRinged = [it, ...it.querySelectorAll("*")].map(each => getComputedStyle(each)).some(
    style => (style.outlineStyle !== "none" && style.outlineColor === colour)
      || style.stroke === colour);
  return isRinged ? "" : "nothing shows that it has the focus";
}"""


class Keyboard:
    """Its keys, each followed by a look at where the focus is."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def press(self, key: str) -> None:
        """One key."""
        await self._page.keyboard.press(key)

    async def type(self, text: str) -> None:
        """Over what is there, if it is marked."""
        await self._page.keyboard.type(text)

    async def tabs_to(self, wanted: Locator) -> None:
        """Tab until it has the focus; on the way there it is always to be seen where one is."""
        for _ in range(TABS_MAX):
            await self.press("Tab")
            await self.sees_focus()
            if await wanted.evaluate("it => it === document.activeElement"):
                return
        msg = f"{TABS_MAX} times Tab do not lead to {wanted}"
        raise AssertionError(msg)

    async def walks_to(self, seat: Locator) -> None:
        """By the arrow keys through the map, from the seat that has the focus."""
        wanted = await seat.get_attribute("data-seat")
        assert wanted is not None
        for _ in range(TABS_MAX):
            here = await self._page.evaluate("document.activeElement.dataset.seat ?? ''")
            if here == wanted:
                return
            await self.press(_key(here, wanted))
            await self.sees_focus()
        msg = f"{TABS_MAX} arrow keys do not lead to {wanted}"
        raise AssertionError(msg)

    async def sees_focus(self) -> None:
        """What has the focus is on the screen, in the colour for it."""
        amiss = await self._page.evaluate(_AMISS)
        where = await self._page.evaluate("document.activeElement?.outerHTML.slice(0, 200)")
        assert not amiss, f"{amiss}: {where}"


def _key(here: str, wanted: str) -> str:
    row, letter = int(here[:-1]), here[-1]
    to_row, to_letter = int(wanted[:-1]), wanted[-1]
    if row != to_row:
        return "ArrowDown" if row < to_row else "ArrowUp"
    return "ArrowRight" if letter < to_letter else "ArrowLeft"
