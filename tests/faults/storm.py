"""The storm: buyers trade while everything goes wrong; then everything is healed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from .buyers import Buyer, trade
from .desk import Desk
from .nemesis import Nemesis
from .options import Options
from .run import Journal, Run
from .staff import Staff
from .system import BUYER_PATIENCE_S, System

FLIGHTS = 4
NEW_FLIGHT_EVERY_S = 12.0
NO_CHANGES_LAST_S = 35.0  # one is carried for a minute, for the sake of bookings on their way


async def storm(
    options: Options, run: Run, system: System, nemesis: Nemesis, history: Journal
) -> None:
    """All of it, until the time is over and the system is whole again."""
    async with _http() as http:
        desk = Desk(history, http)
        staff = Staff(desk, system.staff().url, random.Random(f"{run.seed} staff"))
        await staff.open_sale(FLIGHTS)
        buyers = _buyers(options, system, desk, staff.on_sale)
        for buyer in buyers:
            await buyer.sign_up()
        options.say(f"{len(buyers)} buyers trade for {options.minutes:g} minutes")
        for_s = options.minutes * 60
        async with _beside(options, system, nemesis, staff, time.monotonic() + for_s):
            await trade(buyers, _enough(options, nemesis))
    await nemesis.relent()
    run.healed_at = time.time()
    run.save()


async def _enough(options: Options, nemesis: Nemesis) -> None:
    await asyncio.sleep(options.minutes * 60)
    if options.whole:
        await nemesis.has_done_all.wait()


@asynccontextmanager
async def _beside(
    options: Options, system: System, nemesis: Nemesis, staff: Staff, ends_at: float
) -> AsyncIterator[None]:
    """The staff at work, and, unless it is to be calm, the proxies and the nemesis."""
    work = staff.work(every_s=NEW_FLIGHT_EVERY_S, changes_until=ends_at - NO_CHANGES_LAST_S)
    tasks = [asyncio.create_task(work)]
    if not options.calm:
        system.mean_harm()
        tasks.append(asyncio.create_task(nemesis.strike(pause_s=options.strike_every_s)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, Exception):
            raise problem


def _buyers(
    options: Options, system: System, desk: Desk, flights: Sequence[str]
) -> Sequence[Buyer]:
    url = system.links["buyers→booking"].url
    names = [f"buyer{number}" for number in range(1, options.buyers + 1)]
    return [
        Buyer(name, url, desk, flights, random.Random(f"{options.seed} {name}"), options.think_s)
        for name in names
    ]


def _http() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=100)
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # one client for all of them
    return httpx.AsyncClient(
        timeout=BUYER_PATIENCE_S, limits=limits, cookies=no_cookies, trust_env=False
    )
