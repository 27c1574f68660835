"""One run: a system, buyers, a nemesis, and the judgement afterwards."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import skyhold
from support.ports import free_ports

from . import broker
from .checker import check
from .clocks import Clocks
from .cluster import Nodes
from .disk import SIZE_MB, SIZE_OF_THREE_MB, Disk
from .listener import Listener
from .nemesis import Nemesis
from .options import Options
from .outcome import Outcome, judged
from .quiet import Quiet
from .run import Run
from .sampler import Sampler
from .servers import DATABASES, KINDS
from .storm import storm
from .system import GIVE_UP_AFTER_S, GRACE_S, WINDOW_S, System

SERVICES = ("flight", "booking", "worker")
PARTS = ("database", "sandbox", *(f"{name}-{number}" for name in SERVICES for number in "12"))


async def run(options: Options) -> Outcome:
    """Run it all, and judge it.

    The folder goes away afterwards, unless it was named, is to be kept, or tells of trouble.
    """
    folder = options.folder or Path(tempfile.mkdtemp(prefix="skyhold-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the database servers are other users
    rig = _Rig(options, folder)
    try:
        return await rig.run()
    finally:
        if not rig.keep:
            shutil.rmtree(folder, ignore_errors=True)


class _Rig:
    def __init__(self, options: Options, folder: Path) -> None:
        self.keep = options.keep or options.folder is not None
        self._options, self._folder = options, folder
        parts = [*PARTS, "haproxy"] if options.haproxy else PARTS
        self._ports = dict(zip(parts, free_ports(len(parts)), strict=True))
        self._nodes: Nodes | None = None

    async def run(self) -> Outcome:
        try:
            outcome = await self._run()
        except Exception:
            self.keep = True
            self._options.say(f"see {self._folder}")
            raise
        return outcome

    async def _run(self) -> Outcome:
        options, say = self._options, self._options.say
        async with AsyncExitStack() as stack:
            disk = self._lay_out()
            stack.callback(lambda: disk.close(keep=self.keep))
            run = self._describe(disk)
            faults = run.journal("faults")
            stack.callback(faults.close)
            history = run.journal("history")
            stack.callback(history.close)
            wire = await stack.enter_async_context(broker.wire(run))
            system = System(
                run,
                disk.folder,
                Clocks(self._folder / "clocks"),
                options.src or self._copy_of_src(),
                {"broker": wire} if wire else {},
                faults,
                options.scale,
                options.mix,
                self._nodes,
            )
            stack.push_async_callback(system.close)
            say(f"starting the system in {self._folder}")
            await system.start(self._ports)
            nemesis = Nemesis(system, disk, faults, seed=run.seed, only=options.only)
            async with _watched(run):
                await storm(options, run, system, nemesis, history)
                say("healed; waiting for quiet")
                quiet = Quiet(run)
                await quiet.comes(options.quiet_within_s)
                run.quiet_at = time.time()
                run.save()
            say("judging")
            report = await asyncio.to_thread(check, self._folder)
            left_out = [] if options.calm else nemesis.left_out()
            outcome = judged(run, system, quiet, report, left_out)
            self.keep = self.keep or not outcome.is_good
            return outcome

    def _lay_out(self) -> Disk:
        for name in ("data", "logs"):
            (self._folder / name).mkdir()
        is_cluster = self._options.db == "galera"
        disk = Disk(self._folder / "disk", SIZE_OF_THREE_MB if is_cluster else SIZE_MB)
        if is_cluster:
            self._nodes = Nodes(disk.folder)
        return disk

    def _copy_of_src(self) -> Path:
        """The services as they are now: who goes on writing them does not change this run."""
        copy = self._folder / "src"
        shutil.copytree(Path(skyhold.__file__).parent, copy / "skyhold")
        return copy

    def _describe(self, disk: Disk) -> Run:
        if self._options.db in KINDS:
            kind, port = KINDS[self._options.db](), self._ports["database"]
            urls = [kind.url(port, name) for name in DATABASES]
        elif self._nodes is not None:
            urls = [self._nodes.url(name) for name in DATABASES]
        else:
            urls = [f"sqlite:///{disk.folder / name}.db" for name in DATABASES]
        run = Run(
            folder=self._folder,
            seed=self._options.seed,
            db=self._options.db,
            minutes=self._options.minutes,
            booking_db_url=urls[0],
            flight_db_url=urls[1],
            sandbox_db=str(disk.folder / "sandbox.db"),
            payment_window_s=WINDOW_S,
            hold_grace_s=GRACE_S,
            give_up_after_s=GIVE_UP_AFTER_S,
            amqp_url=broker.url(),
            amqp_prefix=f"faults-{uuid4().hex[:8]}.",
            began_at=time.time(),
            mutant=self._options.mutant,
        )
        run.save()
        return run


@asynccontextmanager
async def _watched(run: Run) -> AsyncIterator[None]:
    """The witnesses look on from before the first booking until everything is at rest."""
    witnesses = [Sampler(run), *([Listener(run)] if run.amqp_url else [])]
    for witness in witnesses:
        await witness.start()
    try:
        yield
    finally:
        for witness in witnesses:
            await witness.stop()
