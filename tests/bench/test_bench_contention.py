"""The simulation of replicas that want the same seats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.contention import Costs, Setup, simulate

COSTS = Costs(0.005, 0.0001, reads=0.4, cpu=0.3, spread=(0.8, 1.0, 1.5))
ONE = Setup(COSTS, replicas=1, flights=1, clients=8, seconds=5.0)


@pytest.mark.parametrize("cluster", [False, True])
def test_one_replica_never_loses_a_race(cluster):
    found = simulate(replace(ONE, cluster=cluster))
    assert found.holds > 1_000
    assert (found.lost, found.failed) == (0, 0)


@pytest.mark.parametrize("cluster", [False, True])
def test_more_replicas_on_one_flight_lose_more_of_their_runs(cluster):
    lost = [
        found.lost / found.batches
        for replicas in (1, 2, 4, 8)
        for found in [simulate(replace(ONE, replicas=replicas, cluster=cluster))]
    ]
    assert lost == sorted(lost)
    assert lost[1] > 0.1


@pytest.mark.parametrize("cluster", [False, True])
def test_replicas_of_many_flights_hardly_meet(cluster):
    apart = simulate(replace(ONE, replicas=2, flights=10_000, cluster=cluster))
    assert apart.lost / apart.batches < 0.05
    assert apart.holds > 1.8 * simulate(replace(ONE, flights=10_000)).holds


def test_flights_that_all_want_are_fought_for_more():
    alike = simulate(replace(ONE, replicas=4, flights=1_000))
    popular = simulate(replace(ONE, replicas=4, flights=1_000, zipf=1.0))
    assert popular.lost / popular.batches > 2 * alike.lost / alike.batches


def test_what_waits_goes_out_together_and_never_more_than_may():
    assert simulate(replace(ONE, clients=40)).figures()["batch"] == 40
    assert simulate(replace(ONE, clients=200, batch_max=16)).figures()["batch"] == 16


def test_on_one_core_two_replicas_compute_one_after_the_other():
    busy = replace(ONE, replicas=2, flights=10_000, costs=replace(COSTS, cpu=1.0))
    assert simulate(replace(busy, cores=1)).holds < 0.6 * simulate(busy).holds


def test_the_same_seed_has_the_same_outcome_and_another_one_another():
    several = replace(ONE, replicas=3)
    assert simulate(several) == simulate(several)
    assert simulate(several) != simulate(replace(several, seed=2))
