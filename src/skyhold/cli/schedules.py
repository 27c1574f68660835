"""Importing schedules with a progress bar."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from skyhold.flight.services import csv_file, demo, importing
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import open_database
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.db import Database

from .databases import opened
from .running import console


async def import_demo(settings: FlightSettings) -> importing.Summary:
    """Load the demo schedule for the seven days from tomorrow, by this machine's date."""
    tomorrow = SystemClock().now().astimezone().date() + timedelta(days=1)
    async with opened(open_database(settings)) as db:
        with _progress("Demo schedule", demo.demo_size()) as progress:
            return await _importer(db, progress.rows).run(demo.demo_rows(tomorrow))


async def import_file(settings: FlightSettings, file: Path, raw: BinaryIO) -> importing.Summary:
    """Import the CSV in `file`, which is open as `raw`; `.gz` is unpacked on the way."""
    async with opened(open_database(settings)) as db:
        # Progress is told by how much of the file has been read, packed or not.
        with _progress(file.name, os.fstat(raw.fileno()).st_size) as progress:
            text = _text(raw, file)  # kept: when it goes away it closes the file beneath it
            importer = _importer(db, lambda _: progress.to(raw.tell()))
            try:
                return await importer.run(csv_file.read_csv(text))
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                msg = f"{file.name} is no gzip file, or not all of it: {error}."
                raise csv_file.NotASchedule(msg) from error


def _importer(db: Database, progress: Any) -> importing.Importer:  # noqa: ANN401
    def refuse(line: int, reason: str) -> None:
        console.print(f"line {line}: {reason}", markup=False, highlight=False, soft_wrap=True)

    return importing.Importer(db, refuse=refuse, progress=progress)


def _text(raw: BinaryIO, file: Path) -> io.TextIOBase:
    unpacked = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
    # Bytes that are no UTF-8 become characters that no row may hold, so they cost one row each.
    return io.TextIOWrapper(
        unpacked,
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )


class _Bar:
    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def to(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    rows = to


@contextmanager
def _progress(title: str, total: int) -> Iterator[_Bar]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Bar(progress, title, total)
