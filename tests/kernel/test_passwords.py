"""Passwords of any length and content; with no account behind them the work is the same."""

from __future__ import annotations

import asyncio

import bcrypt
import pytest

from skyhold.kernel.batcher import Overloaded
from skyhold.kernel.passwords import Hashed, Passwords, is_common

PEPPER = "a-pepper-for-tests"


@pytest.fixture
def keep():
    """Make keepers of passwords, cheap ones."""
    made = []

    def make(pepper=PEPPER, **settings):
        made.append(Passwords(pepper, **({"cost": 4, "waiting_max": 64} | settings)))
        return made[-1]

    yield make
    for passwords in made:
        passwords.close()


@pytest.fixture
def passwords(keep) -> Passwords:
    return keep()


async def test_the_right_password_matches_and_a_wrong_one_does_not(passwords):
    hashed = await passwords.hash("correct horse")
    assert await passwords.matches("correct horse", hashed)
    assert not await passwords.matches("correct hors", hashed)
    assert not await passwords.matches("Correct horse", hashed)
    assert not await passwords.matches("", hashed)


async def test_a_hash_is_60_ascii_characters_and_never_twice_the_same(passwords):
    one, other = await passwords.hash("correct horse"), await passwords.hash("correct horse")
    assert one.hash != other.hash
    assert one.hash.isascii()
    assert len(one.hash) == 60
    assert "horse" not in one.hash


ALIKE = {
    "the 73rd byte": ("x" * 72 + "1", "x" * 72 + "2"),
    "72 and 73 bytes": ("x" * 72, "x" * 73),
    "the last of 1,024": ("x" * 1023 + "1", "x" * 1023 + "2"),
    "after a NUL": ("secret\0one", "secret\0two"),
    "up to a NUL": ("secret\0one", "secret"),
    "the last of 64 emoji": ("😀" * 63 + "😀", "😀" * 63 + "😁"),
    "an accent": ("passé", "passe"),
    "a space at the end": ("secret", "secret "),
}


@pytest.mark.parametrize(("one", "other"), ALIKE.values(), ids=ALIKE.keys())
async def test_passwords_that_look_alike_to_bcrypt_differ_here(passwords, one, other):
    hashed = await passwords.hash(one)
    assert await passwords.matches(one, hashed)
    assert not await passwords.matches(other, hashed)


async def test_a_stolen_table_is_of_no_use_without_the_pepper(passwords, keep):
    hashed = await passwords.hash("correct horse")
    assert not await keep("another-pepper").matches("correct horse", hashed)
    assert not bcrypt.checkpw(b"correct horse", hashed.hash.encode())


async def test_for_nobody_the_same_work_is_done_and_the_answer_is_no(passwords, monkeypatch):
    work = []

    def checkpw(password, hashed, really=bcrypt.checkpw):
        work.append((len(password), hashed[:7]))  # the algorithm and the cost
        return really(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    hashed = await passwords.hash("correct horse")
    assert not await passwords.matches("wrong", hashed)
    assert not await passwords.matches("wrong", None)
    assert not await passwords.matches("nobody's password", None)
    assert work == [(64, b"$2b$04$")] * 3


async def test_a_hash_of_another_cost_is_due_for_renewal_and_still_matches(passwords, keep):
    hashed = await passwords.hash("correct horse")
    stronger = keep(cost=5)
    assert not passwords.needs_rehash(hashed)
    assert stronger.needs_rehash(hashed)
    assert await stronger.matches("correct horse", hashed)
    assert not stronger.needs_rehash(await stronger.hash("correct horse"))


async def test_where_the_pepper_is_replaced_old_hashes_count_and_are_due_for_renewal(keep):
    first, second, third = (f"pepper number {number}" for number in range(3))
    of_first = await keep(first).hash("correct horse")
    of_second = await keep(second, older=[first]).hash("correct horse")
    now = keep(third, older=[first, second])
    for old in (of_first, of_second):
        assert await now.matches("correct horse", old)
        assert not await now.matches("correct house", old)
        assert now.needs_rehash(old)
    assert not now.needs_rehash(await now.hash("correct horse"))


async def test_a_hash_that_does_not_name_its_pepper_has_the_oldest(keep):
    unnamed = Hashed((await keep("first").hash("correct horse")).hash, None)
    assert await keep("first").matches("correct horse", unnamed)
    assert await keep("third", older=["first", "second"]).matches("correct horse", unnamed)
    assert not await keep("third", older=["second"]).matches("correct horse", unnamed)


async def test_a_pepper_that_is_forgotten_takes_its_hashes_along_as_slowly(keep, monkeypatch):
    hashed = await keep("forgotten").hash("correct horse")
    passwords, work = keep("another"), []
    monkeypatch.setattr(bcrypt, "checkpw", lambda password, hashed: work.append(hashed[:7]))
    assert not await passwords.matches("correct horse", hashed)
    assert work == [b"$2b$04$"]


async def test_the_name_of_a_pepper_does_not_tell_it(keep):
    named = (await keep(PEPPER).hash("x")).pepper_id
    assert len(named) == 8
    assert named not in PEPPER


@pytest.mark.parametrize("password", ["password", "PassWord1", "12345678", "qwertyuiop"])
def test_common_passwords_are_known_whatever_their_case(password):
    assert is_common(password)


@pytest.mark.parametrize("password", ["correct horse battery", "", "password " * 3])
def test_others_are_not(password):
    assert not is_common(password)


async def test_with_too_many_waiting_a_further_one_is_refused(keep):
    passwords = keep(waiting_max=3)
    hashing = [passwords.hash(f"password {number}") for number in range(5)]
    answers = await asyncio.gather(*hashing, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Hashed, Hashed, Hashed, Overloaded, Overloaded]
    assert answers[3].status == 503
    # Their places are free again, also those of callers who went away.
    for _ in range(4):
        gone = asyncio.create_task(passwords.hash("x"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
    assert await passwords.matches("password 0", answers[0])
