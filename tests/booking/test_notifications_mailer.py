"""Handing letters over: to a real SMTP server, and to a mailbox on the disk."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import sys
import time
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from notifications_stage import (
    PostOffice,
    a_user,
    about,
    authenticator,
    calendar_of,
    certificate,
    html_of,
    letters,
    read,
    smtp_server,
    text_of,
    words,
)

from skyhold.booking.clients import mailbox as mailbox_module
from skyhold.booking.clients.mailbox import MailboxMailer
from skyhold.booking.clients.mailer import CONNECTIONS_MAX, MailRefused, SmtpMailer
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import FrozenClock
from support.mailbox import letters_in
from support.system import free_port

HOST = "127.0.0.1"
LOCKED = """
import fcntl, sys
with open(sys.argv[1], "rb+") as box:
    fcntl.lockf(box, fcntl.LOCK_EX)
    print(flush=True)
    sys.stdin.read()
"""


class OldPostOffice(PostOffice):
    """Takes 7-bit text only."""

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
        session.host_name = hostname
        return [response for response in responses if "8BITMIME" not in response]


@pytest.fixture
def office():
    return PostOffice()


@pytest.fixture
async def plain(office):
    """A mailer to a server without TLS and without a login."""
    async with smtp_server(office) as port:
        yield SmtpMailer(HOST, port, security="none", timeout_s=20)


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("certificate"))


def to(email):
    told = about("booking.confirmed")
    return letters.compose(type(told)(told.event, told.booking, a_user(email=email), told.payment))


# --- what is taken ---------------------------------------------------------------------------


async def test_a_letter_arrives_as_it_was_written(plain, office):
    letter = to("ada@example.com")
    await plain.send(letter)
    (envelope,), (arrived,) = office.envelopes, office.letters
    assert envelope.mail_from == "bookings@skyhold.example"
    assert envelope.rcpt_tos == ["ada@example.com"]
    written = read(letter)
    for name in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"):
        assert arrived[name] == written[name]
    assert text_of(arrived) == text_of(written)
    assert calendar_of(arrived).to_ical() == calendar_of(written).to_ical()


async def test_starttls_with_a_login(office, tls):
    server, client = tls
    settings = {
        "tls_context": server,
        "require_starttls": True,
        "authenticator": authenticator("skyhold", "secret"),
        "auth_required": True,
    }
    async with smtp_server(office, **settings) as port:
        mailer = SmtpMailer(HOST, port, user="skyhold", password="secret", tls_context=client)
        await mailer.send(to("ada@example.com"))
    (session,) = office.sessions
    assert session.ssl is not None
    assert session.authenticated


async def test_tls_from_the_first_byte_on(office, tls):
    server, client = tls
    async with smtp_server(office, tls=server) as port:
        mailer = SmtpMailer(HOST, port, security="tls", tls_context=client)
        await mailer.send(to("ada@example.com"))
    assert len(office.letters) == 1


async def test_an_international_address_reaches_a_server_that_takes_it(plain, office):
    await plain.send(to("用户@例子.example"))
    assert office.envelopes[0].rcpt_tos == ["用户@xn--fsqu00a.example"]
    assert office.envelopes[0].smtp_utf8


async def test_an_international_domain_reaches_any_server(office):
    async with smtp_server(office, enable_SMTPUTF8=False) as port:
        mailer = SmtpMailer(HOST, port, security="none")
        await mailer.send(to("ada@bücher.example"))
    assert office.envelopes[0].rcpt_tos == ["ada@xn--bcher-kva.example"]


async def test_many_letters_use_a_few_connections_at_once(plain, office):
    in_hand, full, goes_on = [], asyncio.Event(), asyncio.Event()
    take = office.handle_DATA

    async def data(server, session, envelope):
        in_hand.append(envelope)
        if len(in_hand) == CONNECTIONS_MAX:
            full.set()
        await goes_on.wait()
        return await take(server, session, envelope)

    office.handle_DATA = data
    many = [
        asyncio.create_task(plain.send(to("ada@example.com"))) for _ in range(CONNECTIONS_MAX * 3)
    ]
    await asyncio.wait_for(full.wait(), 30)
    # Others had as much time as somebody needs who comes only now.
    await asyncio.wait_for(_somebody_else(), 30)
    assert len(in_hand) == CONNECTIONS_MAX
    goes_on.set()
    await asyncio.wait_for(asyncio.gather(*many), 30)
    assert len(office.letters) == CONNECTIONS_MAX * 3


async def _somebody_else():
    """A whole letter to another server in this event loop."""
    other = PostOffice()
    async with smtp_server(other) as port:
        await SmtpMailer(HOST, port, security="none").send(to("bob@example.com"))
    assert len(other.letters) == 1


async def test_what_was_taken_is_sent_whatever_becomes_of_the_goodbye(plain, office):
    office.answers["QUIT"] = ["silence"]
    before = time.monotonic()
    await plain.send(to("ada@example.com"))
    assert len(office.letters) == 1
    assert time.monotonic() - before < 10  # not the whole time-out


# --- what is not taken now -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT", "450 4.2.1 <ada@example.com>: greylisted"),
        ("RCPT", "452 4.2.2 ada@example.com is full"),
        ("RCPT", "530 5.7.0 ada@example.com: log in first"),
        ("RCPT", "554 5.7.1 ada@example.com: relay access denied"),
        ("RCPT", "503 5.5.1 not now, ada@example.com"),
        ("DATA", "451 4.3.0 try again, ada@example.com"),
        ("DATA", "421 4.3.2 ada@example.com, we are closing"),
        ("MAIL", "451 4.3.0 ada@example.com"),
        ("MAIL", "550 5.7.1 this sender may not write to ada@example.com"),
    ],
)
async def test_a_temporary_answer_may_be_tried_again(plain, office, command, answer):
    office.answers[command] = [answer]
    with pytest.raises(Unknown) as failed:
        await plain.send(to("ada@example.com"))
    code, enhanced = answer.split()[:2]
    known = enhanced if enhanced.count(".") == 2 else None
    assert str(failed.value) == f"the mail server answered {code}" + (f" {known}" if known else "")
    assert office.letters == []
    await plain.send(to("ada@example.com"))
    assert len(office.letters) == 1


@pytest.mark.parametrize("command", ["RCPT", "DATA", "MAIL"])
async def test_silence_is_waited_for_so_long_and_no_longer(office, command):
    office.answers[command] = ["silence"]
    async with smtp_server(office) as port:
        mailer = SmtpMailer(HOST, port, security="none", timeout_s=1)
        with pytest.raises(Unknown):
            await asyncio.wait_for(mailer.send(to("ada@example.com")), 30)
    assert office.deaf.is_set()
    assert office.letters == []


async def test_nobody_there():
    mailer = SmtpMailer(HOST, free_port(), security="none")
    with pytest.raises(Unknown, match="out of reach: SMTPConnectError"):
        await mailer.send(to("ada@example.com"))


async def test_a_host_that_cannot_be_is_no_fault_of_the_letter():
    mailer = SmtpMailer("x" * 70 + ".example", 25, security="none")
    with pytest.raises(Unknown, match="out of reach"):
        await mailer.send(to("ada@example.com"))


async def test_a_wrong_password_is_no_fault_of_the_letter(office, tls):
    server, client = tls
    login = authenticator("skyhold", "secret")
    async with smtp_server(office, tls_context=server, authenticator=login) as port:
        mailer = SmtpMailer(HOST, port, user="skyhold", password="guess", tls_context=client)
        with pytest.raises(Unknown, match="answered 535"):
            await mailer.send(to("ada@example.com"))
    assert office.letters == []


async def test_a_certificate_that_nobody_trusts_gets_neither_password_nor_letter(office, tls):
    server, _ = tls
    login = authenticator("skyhold", "secret")
    for security, settings in (
        ("starttls", {"tls_context": server, "authenticator": login}),
        ("tls", {"tls": server}),
    ):
        async with smtp_server(office, **settings) as port:
            mailer = SmtpMailer(HOST, port, user="skyhold", password="secret", security=security)
            with pytest.raises(Unknown, match="out of reach"):
                await mailer.send(to("ada@example.com"))
    assert office.letters == []


async def test_a_server_without_starttls_gets_nothing(office):
    async with smtp_server(office) as port:
        with pytest.raises(Unknown, match="out of reach"):
            await SmtpMailer(HOST, port).send(to("ada@example.com"))
    assert office.letters == []


# --- what is never taken ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT", "550 5.1.1 <ada@example.com>: no such user here"),
        ("RCPT", "553 5.1.3 ada@example.com is no address"),
        ("DATA", "554 5.7.1 ada@example.com does not want this"),
        ("DATA", "552 5.3.4 too long for ada@example.com"),
    ],
)
async def test_a_permanent_refusal_says_so_and_not_to_whom(plain, office, command, answer):
    office.answers[command] = [answer]
    with pytest.raises(MailRefused) as refused:
        await plain.send(to("ada@example.com"))
    code, enhanced = answer.split()[:2]
    assert str(refused.value) == f"the mail server answered {code} {enhanced}"
    # What the log prints of an error is it and its causes: none of them names the address.
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


async def test_an_international_address_is_refused_where_the_server_takes_none(office):
    async with smtp_server(office, enable_SMTPUTF8=False) as port:
        mailer = SmtpMailer(HOST, port, security="none")
        with pytest.raises(MailRefused, match="international"):
            await mailer.send(to("用户@example.com"))
    assert office.envelopes == []


async def test_an_address_cannot_speak_to_the_server(plain, office):
    letter = to("ada@example.com")
    del letter["To"]
    letter["To"] = '"ada@example.com>\\ RCPT TO:<eve@example.com" x'
    with pytest.raises(MailRefused, match="address"):
        await plain.send(letter)
    assert office.envelopes == []


@pytest.mark.parametrize("takes_8_bit", [True, False])
async def test_a_letter_can_be_read_whatever_a_server_takes(takes_8_bit):
    office = PostOffice() if takes_8_bit else OldPostOffice()
    letter = to("ada@example.com")
    async with smtp_server(office) as port:
        await SmtpMailer(HOST, port, security="none", timeout_s=20).send(letter)
    (envelope,), (arrived,) = office.envelopes, office.letters
    assert words(text_of(arrived)) == words(text_of(letter))
    assert words(html_of(arrived)) == words(html_of(letter))
    assert envelope.content.isascii() is not takes_8_bit


# --- the mailbox -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "mail"


@pytest.fixture
def clock():
    return FrozenClock(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))


@pytest.fixture
def box(folder, clock):
    return MailboxMailer(folder, clock)


async def test_the_mailbox_keeps_letters_for_this_account_alone(folder, box):
    letter = to("ada@example.com")
    await box.send(letter)
    (file,) = folder.iterdir()
    assert file.name == "2026-11-30.mbox"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (found,) = letters_in(folder)
    assert found.items() == letter.items()
    assert text_of(found) == text_of(letter)
    assert calendar_of(found) == calendar_of(letter)


async def test_letters_stand_one_after_the_other_and_every_day_has_its_own(folder, box, clock):
    for who in ("ada@example.com", "eve@example.com"):
        await box.send(to(who))
    clock.advance(minutes=1)
    await box.send(to("bob@example.com"))
    assert {file.name: file.read_text().count("\nTo: ") for file in folder.iterdir()} == {
        "2026-11-30.mbox": 2,
        "2026-12-01.mbox": 1,
    }
    found = [str(one["To"]) for one in letters_in(folder)]
    assert found == ["ada@example.com", "eve@example.com", "bob@example.com"]


async def test_a_repeat_can_be_told_by_its_message_id(folder, box):
    for _ in range(2):
        await box.send(to("ada@example.com"))
    first, again = letters_in(folder)
    assert first["Message-ID"] == again["Message-ID"]


async def test_no_text_of_a_letter_begins_another_one(folder, box):
    letter = EmailMessage()
    letter.set_content("Hello,\n\nFrom Newark it goes to Houston.\n>From there on.\n")
    await box.send(letter)
    (found,) = letters_in(folder)
    assert "\n>From Newark it goes to Houston.\n>>From there on." in found.get_content()


async def test_those_that_wait_are_written_together(folder, box, monkeypatch):
    synced = []
    monkeypatch.setattr(mailbox_module.os, "fsync", synced.append)
    await asyncio.gather(*(box.send(to(f"{n}@example.com")) for n in range(50)))
    assert len(letters_in(folder)) == 50
    assert len(synced) < 5


async def test_two_mailers_write_into_one_mailbox(folder, clock):
    boxes = [MailboxMailer(folder, clock) for _ in range(2)]
    await asyncio.gather(*(box.send(to(f"{n}@example.com")) for box in boxes for n in range(20)))
    assert len(letters_in(folder)) == 40


async def locked(file):
    """A mail program that has locked the mailbox, until its input ends."""
    busy = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCKED, file, stdin=PIPE, stdout=PIPE
    )
    await busy.stdout.readline()
    return busy


async def test_a_mail_program_that_is_at_the_mailbox_is_waited_for(folder, box):
    await box.send(to("ada@example.com"))
    (file,) = folder.iterdir()
    busy = await locked(file)
    sending = asyncio.create_task(box.send(to("eve@example.com")))
    await asyncio.sleep(0.05)
    assert len(letters_in(folder)) == 1
    await busy.communicate(b"")
    await sending
    assert len(letters_in(folder)) == 2


async def test_a_mail_program_that_never_leaves_is_not_waited_for(folder, box, monkeypatch):
    monkeypatch.setattr(mailbox_module, "LOCKED_MAX_S", 0.1)
    await box.send(to("ada@example.com"))
    (file,) = folder.iterdir()
    busy = await locked(file)
    sending = asyncio.create_task(box.send(to("eve@example.com")))
    await asyncio.wait({sending}, timeout=5)
    ended = sending.done()
    await busy.communicate(b"")
    assert ended
    with pytest.raises(Unknown, match="mailbox"):
        await sending


async def test_a_letter_is_not_written_into_a_mailbox_that_was_replaced(folder, box):
    """A mail program that takes letters out writes the rest anew, under the old name."""
    await box.send(to("ada@example.com"))
    (file,) = folder.iterdir()
    busy = await locked(file)
    sending = asyncio.create_task(box.send(to("eve@example.com")))
    await asyncio.sleep(0.05)
    anew = folder / "anew"
    anew.write_bytes(file.read_bytes())
    anew.replace(file)
    await busy.communicate(b"")
    await sending
    assert [str(one["To"]) for one in letters_in(folder)] == ["ada@example.com", "eve@example.com"]


async def test_a_full_disk_takes_all_of_a_letter_or_nothing(folder, box, monkeypatch):
    """It is full in the middle: what was there before stays, and nothing is left over."""
    await box.send(to("ada@example.com"))
    (file,) = folder.iterdir()
    before, write = file.read_bytes(), os.write
    room = iter([100])

    def nearly_full(to, content):
        if left := next(room, 0):
            return write(to, content[:left])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(mailbox_module.os, "write", nearly_full)
        with pytest.raises(Unknown, match="No space left"):
            await box.send(to("eve@example.com"))
    assert file.read_bytes() == before
    await box.send(to("eve@example.com"))
    assert [str(one["To"]) for one in letters_in(folder)] == ["ada@example.com", "eve@example.com"]


async def test_what_a_killed_process_left_does_not_swallow_the_next_letter(folder, box):
    await box.send(to("ada@example.com"))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-200])
    await box.send(to("eve@example.com"))
    assert [str(one["To"]) for one in letters_in(folder)] == ["ada@example.com", "eve@example.com"]


async def test_a_folder_that_cannot_be_made_is_a_temporary_trouble(tmp_path, box):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Unknown, match="mailbox"):
        await box.send(to("ada@example.com"))


def test_the_trust_of_a_mailer_is_the_machines_own_unless_told_otherwise():
    client = SmtpMailer("mail.example", 587)._client()
    assert client.validate_certs
    assert client.tls_context is None
    assert client._build_tls_context().verify_mode is ssl.CERT_REQUIRED
