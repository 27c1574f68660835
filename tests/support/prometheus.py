"""What a scrape says, for tests."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from skyhold.kernel.metrics import REGISTRY


def value(name: str, /, **labels: Any) -> float:
    """A sample of this process's registry; 0 while there is none."""
    told = {label: str(given) for label, given in labels.items()}
    return REGISTRY.get_sample_value(name, told) or 0.0


def samples(text: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Every sample of this name in a scrape, by its labels in alphabetical order."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


class Since:
    """How much samples have grown since this was made."""

    def __init__(self) -> None:
        self._before = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }

    def __call__(self, name: str, /, **labels: Any) -> float:
        told = tuple(sorted((label, str(given)) for label, given in labels.items()))
        return value(name, **labels) - self._before.get((name, told), 0.0)
