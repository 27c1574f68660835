"""Clocks: one that is right, and three that can be moved."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from skyhold.kernel.clock import FileClock, FrozenClock, SystemClock, VirtualClock, clock_for

HOUR = timedelta(hours=1)


def about_now(at, ahead=timedelta()):
    return abs(at - datetime.now(UTC) - ahead) < timedelta(seconds=5)


@pytest.mark.parametrize("make", [SystemClock, VirtualClock])
def test_time_is_aware_in_utc_and_goes_on(make):
    clock = make()
    before = clock.now()
    assert before.tzinfo is UTC
    assert about_now(before)
    time.sleep(0.002)
    assert clock.now() > before


def test_a_virtual_clock_is_moved_and_goes_on():
    clock = VirtualClock()
    clock.advance(minutes=59)
    clock.advance(seconds=60)
    moved = clock.now()
    assert about_now(moved, HOUR)
    time.sleep(0.002)
    assert clock.now() > moved


def test_a_frozen_clock_stands_still_until_it_is_moved():
    at = datetime(2026, 12, 1, tzinfo=UTC)
    clock = FrozenClock(at)
    assert clock.now() == clock.now() == at
    clock.advance(minutes=1, seconds=1)
    assert clock.now() == at + timedelta(seconds=61)


def test_a_file_moves_the_clock_of_everyone_who_reads_it(tmp_path):
    file = tmp_path / "clock"
    one, other = FileClock(file), clock_for(file)
    assert about_now(one.now())
    file.write_text("3600.5")
    assert about_now(one.now(), HOUR)
    assert about_now(other.now(), HOUR)
    file.write_text("-3600")
    assert about_now(one.now(), -HOUR)


@pytest.mark.parametrize("content", [b"", b"soon", b"\xff\xfe", b"1 2"])
def test_a_file_that_cannot_be_read_counts_as_zero(tmp_path, content):
    file = tmp_path / "clock"
    file.write_bytes(content)
    assert about_now(FileClock(file).now())
    assert about_now(FileClock(tmp_path).now())  # a folder


def test_without_a_file_the_clock_is_the_machines():
    assert isinstance(clock_for(None), SystemClock)
