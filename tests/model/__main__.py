"""The two tables of docs/reliability.md: `python -m model`, in tests/."""

from __future__ import annotations

from .scenarios import ALL
from .test_mutations import FOUND


def _print_scenarios() -> None:
    print("| scenario | states | steps | seconds | broken laws |")
    print("|---|---:|---:|---:|---|")
    states = steps = seconds = 0
    for scenario in ALL:
        found = scenario.explore()
        broken = "none" if found.violation is None else found.violation.law.replace("_", " ")
        sizes = f"{len(found.states):,} | {found.steps:,} | {found.seconds:.1f}"
        print(f"| {scenario.name} | {sizes} | {broken} |", flush=True)
        states, steps = states + len(found.states), steps + found.steps
        seconds += found.seconds
    print(f"| all | {states:,} | {steps:,} | {seconds:.1f} | |")


def _print_mutations() -> None:
    print("\n| mistake | found in | by the law | steps |")
    print("|---|---|---|---:|")
    for mutation, (scenario, _) in FOUND.items():
        found = scenario.explore(mutation).violation
        law, steps = ("none", 0) if found is None else (found.law, len(found.story))
        told = law.replace("_", " ")
        print(f"| {mutation.value} | {scenario.name} | {told} | {steps} |", flush=True)


if __name__ == "__main__":
    _print_scenarios()
    _print_mutations()
