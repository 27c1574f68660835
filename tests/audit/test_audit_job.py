"""The periodic audit: once in a period, by one process, told in the log and in metrics."""

from __future__ import annotations

import asyncio

import pytest
from audit_stage import Kind, seat
from structlog.testing import capture_logs

from skyhold.booking.auditing import terms_of
from skyhold.booking.jobs import audit as job
from skyhold.booking.jobs.audit import LOOKS_EVERY_S, RETRY_S, Audits
from skyhold.booking.services.audit.look import Reader
from skyhold.kernel.client import Unknown
from skyhold.kernel.metrics import REGISTRY

PERIOD_S = 3_600


class Process:
    """The job in one process, whose time is moved with everybody's clock."""

    def __init__(self, desk, *, period_s=PERIOD_S, **terms):
        service = desk.system.bookings
        self.desk, self.passed_s = desk, 0.0
        self.audits = Audits(
            service.db,
            service.auditing.auditor,
            desk.system.clock,
            terms_of(service.settings, page_rows=2, **terms),
            period_s=period_s,
            since_s=86_400,
            monotonic=lambda: self.passed_s,
        )

    async def works(self) -> list[str]:
        """One round of the job; what it logged about audits."""
        with capture_logs() as lines:
            assert await self.audits.run_once() == 0
        return [line["event"] for line in lines if line["event"].startswith("audit.")]


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """On a busy machine an audit is over in a round, too; a test that wants it cut says so."""
    monkeypatch.setattr(job, "ROUND_S", 30)


@pytest.fixture
def passes(desk):
    """Let time pass for these processes."""

    def passes(seconds, *processes):
        desk.system.advance(seconds=seconds)
        for process in processes:
            process.passed_s += seconds

    return passes


@pytest.fixture
async def process(desk):
    process = Process(desk)
    yield process
    await process.audits.close()


def disagreements(kind):
    return REGISTRY.get_sample_value("skyhold_audit_disagreements", {"kind": kind})


def ended(outcome):
    return REGISTRY.get_sample_value("skyhold_audits_total", {"outcome": outcome})


AN_AUDIT = ["audit.began", "audit.finished"]


async def test_it_audits_once_in_a_period_and_not_in_its_first_minute(process, passes):
    assert await process.works() == []
    passes(LOOKS_EVERY_S - 1, process)
    assert await process.works() == []
    passes(1, process)
    assert await process.works() == AN_AUDIT
    passes(PERIOD_S - 1, process)
    assert await process.works() == []
    passes(1, process)
    assert await process.works() == AN_AUDIT


async def test_of_several_processes_one_audits_in_a_period(desk, passes):
    several = [Process(desk) for _ in range(3)]
    did = []
    for _ in range(3):
        for process in several:
            await process.works()
        passes(LOOKS_EVERY_S, *several)
        did += [process for process in several if await process.works() == AN_AUDIT]
        passes(PERIOD_S - LOOKS_EVERY_S, *several)
    assert len(did) == 3
    for process in several:
        await process.audits.close()


async def test_a_process_that_is_started_again_does_not_audit_again(desk, process, passes):
    await process.works()
    passes(LOOKS_EVERY_S, process)
    assert await process.works() == AN_AUDIT
    await process.audits.close()
    another = Process(desk)
    await another.works()
    passes(PERIOD_S - 1, another)
    assert await another.works() == []
    passes(1, another)
    assert await another.works() == AN_AUDIT
    await another.audits.close()


async def test_what_it_finds_is_logged_and_counted_until_it_is_repaired(desk, process, passes):
    booking = await desk.cancelled()
    desk.claim(booking["id"], seat(booking))
    await desk.works()
    await process.works()
    passes(LOOKS_EVERY_S, process)
    before = ended("compared")
    with capture_logs() as lines:
        await process.audits.run_once()
    (told,) = [line for line in lines if line["event"] == "audit.disagreement"]
    assert (told["kind"], told["booking_id"]) == (Kind.CLAIMS_LEFT, booking["id"])
    assert told["log_level"] == "error"
    assert (disagreements("claims_left"), disagreements("money_kept")) == (1, 0)
    assert ended("compared") == before + 1
    finished = REGISTRY.get_sample_value("skyhold_audit_last_finished_timestamp_seconds")
    assert abs(finished - desk.system.now().timestamp()) < 60
    assert REGISTRY.get_sample_value("skyhold_audit_duration_seconds") > 0

    await desk.repair((await desk.audit()).only(Kind.CLAIMS_LEFT))
    passes(PERIOD_S, process)
    assert await process.works() == AN_AUDIT
    assert disagreements("claims_left") == 0


async def test_what_another_process_found_since_takes_the_place_of_what_this_one_did(
    desk, process, passes
):
    booking = await desk.cancelled()
    desk.claim(booking["id"], seat(booking))
    await desk.works()
    await process.works()
    passes(LOOKS_EVERY_S, process)
    await process.works()
    assert disagreements("claims_left") == 1
    another = Process(desk)
    await another.works()
    passes(PERIOD_S, process, another)
    desk.sql("flight", "DELETE FROM seat_claims")
    assert await another.works() == AN_AUDIT
    job.metrics.audited({Kind.CLAIMS_LEFT: 1})  # this process would still say so
    passes(LOOKS_EVERY_S, process, another)
    await process.works()
    assert disagreements("claims_left") == 0
    await another.audits.close()


async def test_one_that_leaves_disagreements_behind_is_followed_soon(desk, process, passes):
    booking = await desk.cancelled()
    desk.claim(booking["id"], seat(booking))
    await desk.works()
    await process.works()
    passes(LOOKS_EVERY_S, process)
    assert await process.works() == ["audit.began", "audit.disagreement", "audit.finished"]
    await process.audits.close()
    another = Process(desk)
    await another.works()
    passes(LOOKS_EVERY_S, another)
    assert "audit.finished" in await another.works(), "somebody goes on telling of it"
    await another.audits.close()


async def test_when_somebody_did_not_answer_it_is_tried_again_soon(
    desk, process, passes, monkeypatch
):
    async def silent(*_):
        msg = "silent"
        raise Unknown(msg)

    monkeypatch.setattr("skyhold.booking.services.audit.look.PAUSES_S", ())
    monkeypatch.setattr(desk.system.bookings.flights, "page", silent)
    await process.works()
    passes(LOOKS_EVERY_S, process)
    before = ended("not_compared")
    assert await process.works() == ["audit.began", "audit.not_compared", "audit.finished"]
    assert ended("not_compared") == before + 1
    monkeypatch.undo()
    passes(RETRY_S - 1, process)
    assert await process.works() == []
    passes(1, process)
    assert await process.works() == AN_AUDIT


async def test_a_failed_one_is_told_as_the_job_s_failure_and_tried_again(
    process, passes, monkeypatch
):
    async def broken(*_):
        msg = "a defect"
        raise ValueError(msg)

    monkeypatch.setattr(Reader, "_page", broken)
    await process.works()
    passes(LOOKS_EVERY_S, process)
    before = ended("failed")
    with pytest.raises(ValueError, match="a defect"):
        await process.works()
    assert ended("failed") == before + 1
    monkeypatch.undo()
    passes(RETRY_S, process)
    assert await process.works() == AN_AUDIT


@pytest.fixture
def gate(monkeypatch):
    """Bookings are not read until it is opened."""
    gate, page = asyncio.Event(), Reader._page

    async def waits(*what):
        await gate.wait()
        return await page(*what)

    monkeypatch.setattr(Reader, "_page", waits)
    monkeypatch.setattr(job, "ROUND_S", 0.01)
    return gate


async def test_a_long_one_holds_up_no_round_and_keeps_its_turn(desk, process, passes, gate):
    another = Process(desk)
    await process.works()
    await another.works()
    passes(LOOKS_EVERY_S, process, another)
    assert await process.works() == ["audit.began"]
    for _ in range(30):
        passes(PERIOD_S / 10, process, another)
        assert await process.works() == []
        assert await another.works() == [], "one at a time, however long it takes"
    gate.set()
    job.ROUND_S = 5
    assert await process.works() == ["audit.finished"]
    await another.audits.close()


async def test_stopped_in_the_middle_it_leaves_its_turn_to_another(desk, process, passes, gate):
    await process.works()
    passes(LOOKS_EVERY_S, process)
    assert await process.works() == ["audit.began"]
    await process.audits.close()
    gate.set()
    job.ROUND_S = 5
    another = Process(desk)
    await another.works()
    passes(LOOKS_EVERY_S, another)
    assert await another.works() == AN_AUDIT
    await another.audits.close()


async def test_it_keeps_its_pace(desk, monkeypatch):
    for _ in range(5):
        await desk.confirmed()
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    reader = desk.system.bookings.auditing.auditor.reader
    object.__setattr__(reader, "sleep", sleep)
    try:
        await desk.audit(rows_per_s=10)
    finally:
        object.__setattr__(reader, "sleep", asyncio.sleep)
    # Fifteen rows are read: of the provider's, of our payments, of bookings beside their holds.
    assert 1.0 < max(slept) <= 1.5
    slept.clear()
    await desk.audit()
    assert slept == []


@pytest.mark.parametrize(("period_s", "names"), [(0, set()), (86_400, {"audit"})])
async def test_the_job_can_be_turned_off(start_system, period_s, names):
    async with start_system(audit_period_s=period_s) as system:
        assert {job.name for job in system.bookings.jobs} & {"audit"} == names
