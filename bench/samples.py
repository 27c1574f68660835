"""One measurement: what the load saw, and the CPU that each part used for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .wrk import Load


@dataclass(frozen=True)
class Sample:
    """One operation in one round; `cpu_ms` is the CPU of each part for one operation."""

    load: Load
    cpu_ms: dict[str, float]
    problem: str | None = None


def sample_of(
    load: Load, before: Mapping[str, float], after: Mapping[str, float], status: str
) -> Sample:
    """From CPU seconds before and after; every answer should have had this status."""
    cpu_ms = {part: 1e3 * (after[part] - before[part]) / max(1, load.done) for part in after}
    return Sample(load, cpu_ms, load.unexpected(status))
