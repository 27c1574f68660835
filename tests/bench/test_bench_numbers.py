import pytest

from bench.compare import pairs
from bench.numbers import Spread, ratios, total_ms
from bench.results import latest_of, merged

COSTS = {"cpu_ms": 6.0, "per_s": 300.0, "p50_ms": 90.0, "p99_ms": 300.0, "floor_cpu_ms": 0.5}


def test_a_payment_companys_cpu_is_not_counted():
    assert total_ms({"booking": 2.0, "database": 1.5, "sandbox": 9.0}) == 3.5


def test_each_round_is_compared_with_the_floor_beside_it():
    # The machine was half as fast in the second round: that makes no difference.
    assert ratios([4.0, 8.0, 5.0], [1.0, 2.0, 1.0]) == Spread(4.0, 4.0, 5.0)


def test_an_operation_that_got_costlier_shows_whatever_the_machine():
    slower_machine = COSTS | {"cpu_ms": 24.0, "floor_cpu_ms": 1.0}
    (found,) = pairs({"mariadb": {"read": COSTS}}, {"mariadb": {"read": slower_machine}})
    assert found == ("mariadb", "read", 12.0, 24.0)


def test_what_one_run_does_not_have_is_not_compared():
    old = {"mariadb": {"read": COSTS}}
    assert pairs(old, {"mariadb": {"search": COSTS}, "sqlite": {"read": COSTS}}) == []


def test_a_run_of_one_database_leaves_the_others_figures():
    old = {"mariadb": {"read": COSTS, "search": COSTS}, "sqlite": {"read": COSTS}}
    new = {"mariadb": {"read": COSTS | {"cpu_ms": 5.0}}}
    found = merged(old, new)
    assert found["mariadb"]["read"]["cpu_ms"] == 5.0
    assert found["mariadb"]["search"] == found["sqlite"]["read"] == COSTS


@pytest.mark.parametrize(("name", "failed"), [("read", ["{'500': 3}"]), ("sold_out", [])])
def test_latest_has_neither_what_failed_nor_what_is_for_people_only(name, failed):
    told = COSTS | {"failed": failed, "parts_cpu_ms": {}}
    run = {"databases": {"mariadb": {"operations": {name: told, "create": told | {"failed": []}}}}}
    assert latest_of(run) == {"mariadb": {"create": COSTS}}


def test_the_short_form_can_be_compared_with_too():
    assert latest_of({"mariadb": {"read": COSTS}}) == {"mariadb": {"read": COSTS}}
