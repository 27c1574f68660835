import pytest

from bench.page import BEGIN, END, PAGE, put_figures

COSTS = {"cpu_ms": 6.0, "per_s": 300.0, "p50_ms": 90.0, "p99_ms": 300.0, "floor_cpu_ms": 0.5}


def test_new_figures_take_the_place_of_the_old_ones():
    page = put_figures(f"# A\n{BEGIN}\nold\n{END}\n# B\n", {"mariadb": {"read": COSTS}}, "Today.")
    assert page.startswith(f"# A\n{BEGIN}\nToday.\n")
    assert page.endswith(f"{END}\n# B\n")
    assert "| mariadb | read | 6.00 | 0.500 | 12.0 | 3 | 300 | 90.0 | 300.0 |" in page
    assert "old" not in page
    assert put_figures(page, {"mariadb": {"read": COSTS}}, "Today.") == page


def test_a_page_without_its_marks_is_not_overwritten():
    with pytest.raises(AssertionError):
        put_figures("# Something else", {}, "")


def test_the_page_has_its_marks():
    put_figures(PAGE.read_text(encoding="utf-8"), {}, "")
