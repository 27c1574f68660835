"""Answers whoever asks for this process's metrics.

What is counted along the way is only to be written out. What must be asked for (how many rows are
overdue, say) is asked by probes when somebody looks, at most so often and for so long: a database
that is slow or gone makes its values missing, and never an answer late.

Several processes that listen on one port share a folder, see `share`: each keeps its own values
there, and whichever of them is asked answers for all.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .logging import get_logger
from .metrics import PROBE_FAILURES, REGISTRY
from .settings import make_private_folder

log = get_logger(__name__)

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name for it
PROBE_MAX_S = 2.0
FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class Question:
    """A gauge whose value is asked for. Every process answers the same, so take the highest."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()


# To each question its answers, by label values; one without labels has the answer of ().
Readings = Mapping[Question, Mapping[tuple[str, ...], float]]
Probe = Callable[[], Awaitable[Readings]]


class Observatory:
    """Everything there is to see of a process."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        *,
        probe_max_s: float = PROBE_MAX_S,
        fresh_s: float = FRESH_S,
    ) -> None:
        self._watches = [
            _Watch(name, probe, probe_max_s, fresh_s) for name, probe in probes.items()
        ]
        self._report: asyncio.Task[bytes] | None = None

    async def report(self) -> bytes:
        """All metrics in Prometheus's text format; those who ask at the same time share one."""
        if self._report is None or self._report.done():
            # In a context of its own, as it belongs to no single request.
            self._report = asyncio.create_task(self._gather(), name="metrics", context=Context())
        return await asyncio.shield(self._report)

    async def _gather(self) -> bytes:
        found = await asyncio.gather(*(watch.look() for watch in self._watches))
        return await asyncio.to_thread(exposition, _Asked(found))


class _Watch:
    """One probe, with its time limit and its last readings."""

    def __init__(self, name: str, probe: Probe, limit_s: float, fresh_s: float) -> None:
        self._name = name
        self._probe = probe
        self._limit_s = limit_s
        self._fresh_s = fresh_s
        self._fresh_until = 0.0
        self._readings: Readings = {}
        self._asking: asyncio.Task[Readings | Exception] | None = None
        self._failures = PROBE_FAILURES.labels(name)

    async def look(self) -> Readings:
        """The readings of a moment ago, or new ones; none when the probe failed or is late."""
        now = asyncio.get_running_loop().time
        if now() >= self._fresh_until:
            self._readings = await self._ask()
            self._fresh_until = now() + self._fresh_s
        return self._readings

    async def _ask(self) -> Readings:
        # One that was late and has not ended although it was told to is not asked a second time
        # meanwhile: what is slow already must not be given more to do.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_answer(self._probe), name=f"probe:{self._name}")
        await asyncio.wait({self._asking}, timeout=self._limit_s)
        if not self._asking.done():
            self._asking.cancel()
            return self._nothing(f"no answer within {self._limit_s} s")
        if self._asking.cancelled():
            return self._nothing("it was told to stop")
        answer = self._asking.result()
        return self._nothing(repr(answer)) if isinstance(answer, Exception) else answer

    def _nothing(self, error: str) -> Readings:
        self._failures.inc()
        log.warning("metrics.probe_failed", probe=self._name, error=error)
        return {}


async def _answer(probe: Probe) -> Readings | Exception:
    try:
        return await probe()
    except Exception as error:  # noqa: BLE001 - whatever a probe does, the others are still heard
        return error


class _Asked(Collector):
    """What the probes answered, one family a question however many probes answer it."""

    def __init__(self, found: Iterable[Readings]) -> None:
        answers: defaultdict[Question, dict[tuple[str, ...], float]] = defaultdict(dict)
        for readings in found:
            for question, values in readings.items():
                answers[question].update(values)
        self._answers = answers

    def collect(self) -> Iterable[Metric]:
        for question, values in self._answers.items():
            family = GaugeMetricFamily(
                question.name, question.documentation, labels=question.labels
            )
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def exposition(asked: Collector) -> bytes:
    """Everything that was counted, and what was asked for, in the text format."""
    counted: Any = REGISTRY
    if SHARED_FOLDER in os.environ:
        counted = CollectorRegistry()
        multiprocess.MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return generate_latest(counted) + generate_latest(asked)


def share(folder: Path) -> None:
    """Let the processes that are started from here on answer for one another through `folder`.

    For their parent; what an earlier run left in the folder is removed. It has to be called before
    a process imports kernel.metrics, so it holds for processes that are started, not forked.
    """
    make_private_folder(folder)
    for left in folder.glob("*.db"):
        left.unlink()
    os.environ[SHARED_FOLDER] = str(folder)


def forget_process(pid: int) -> None:
    """A process has ended: what it was busy with is over, and what it has counted still counts."""
    if folder := os.environ.get(SHARED_FOLDER):
        multiprocess.mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
