import os
import time
from xml.etree import ElementTree as ET

import pytest

from bench.memory import MIB, rows
from bench.plot import Line, plot
from bench.proc import PAGE_BYTES, TICKS_PER_S, parse_stat, used
from bench.size import Size, sizes
from bench.wrk import parse

SAID = (
    "Running 5s test @ http://127.0.0.1:1\n"
    'BENCH {"operations":%s,"duration_us":5000000,"p50_us":90500,"p99_us":300000,'
    '"errors":{"read":%s,"status":3},"statuses":%s,"sample":"{\'code\':\'sold_out\'}"}\n'
)


def test_what_wrk_prints_is_read():
    load = parse(SAID % (1500, 0, '{"201":1500}'))
    assert (load.per_s, load.p50_ms, load.p99_ms) == (300.0, 90.5, 300.0)
    assert load.unexpected("201") is None


@pytest.mark.parametrize(
    ("operations", "errors", "statuses"),
    [(1500, 0, '{"201":1499,"409":1}'), (1500, 1, '{"201":1500}'), (0, 0, "{}")],
)
def test_any_other_answer_and_any_lost_one_is_told(operations, errors, statuses):
    problem = parse(SAID % (operations, errors, statuses)).unexpected("201")
    assert problem is not None
    assert "sold_out" in problem


def test_a_load_that_did_not_run_ends_the_bench():
    with pytest.raises(SystemExit, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_process_may_have_any_name():
    before = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 "
    line = before + "150 50 20 30 20 0 7 0 1000 99999 250 18446744073709551615"
    found = parse_stat(line)
    assert found.cpu_s == 250 / TICKS_PER_S
    assert found.rss_bytes == 250 * PAGE_BYTES


def test_what_this_process_uses_is_seen():
    before = used(os.getpid())
    ends_at = time.process_time() + 0.2
    while time.process_time() < ends_at:
        pass
    assert used(os.getpid()).cpu_s - before.cpu_s >= 0.1
    assert before.rss_bytes > MIB


def test_sizes_grow():
    assert sizes("1000:0,3000000:2000000") == [Size(1_000, 0), Size(3_000_000, 2_000_000)]
    assert str(sizes("3000000:2000000")[0]) == "3 million flights and 2 million bookings"
    with pytest.raises(ValueError, match="smallest"):
        sizes("1000:0,10:0")


def test_growth_in_the_last_third_is_told_beside_the_whole_way():
    many = [megabytes * MIB for megabytes in (100, 110, 120, 125, 126, 127)]
    assert rows({"booking": many}) == {"booking": [100.0, 120.0, 126.0, 127.0, 127.0, 1.0]}


def test_a_plot_shows_every_line_at_every_place():
    lines = [Line("create", [1.0, 1.1]), Line("a < b", [1.0, 4.0])]
    svg = plot(lines, ["1,000 flights", "2 million"], band=0.2)
    drawn = ET.fromstring(svg)  # noqa: S314 - drawn a line above
    shapes = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    heights = [
        [float(point.split(",")[1]) for point in shape.get("points").split()] for shape in shapes
    ]
    assert [len(some) for some in heights] == [2, 2]
    assert heights[1][1] < heights[0][1] < heights[0][0]  # what costs more is higher up
