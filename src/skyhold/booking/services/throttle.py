"""Guessing passwords, and opening accounts by the hundred, is made slow.

Attempts are counted before anything is looked at, and by the address they come from: whoever
guesses somebody's password from elsewhere does not lock them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.kernel.limiter import Limiter
from skyhold.kernel.quotas import Quota, network_of


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who comes, as far as can be seen: from which address, with which program."""

    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Throttle:
    """How often one may try. An e-mail that nobody has is counted like any other."""

    limiter: Limiter
    of_account: Quota
    of_address: Quota
    of_registering: Quota

    async def admit_login(self, email_key: str, address: str | None) -> None:
        """Somebody tries to log in. Raises TooManyAttempts."""
        place = network_of(address)
        await self.limiter.admit(self.of_address, place)
        await self.limiter.admit(self.of_account, email_key, place)

    async def logged_in(self, email_key: str, address: str | None) -> None:
        """It was the right password, so what was mistyped before is forgotten."""
        await self.limiter.forget(self.of_account, email_key, network_of(address))

    async def admit_password(self, user_id: str, address: str | None) -> None:
        """Somebody who is logged in shows the password again. Raises TooManyAttempts."""
        await self.limiter.admit(self.of_account, user_id, network_of(address))

    async def showed_password(self, user_id: str, address: str | None) -> None:
        """It was the right one."""
        await self.limiter.forget(self.of_account, user_id, network_of(address))

    async def admit_registration(self, address: str | None) -> None:
        """Somebody wants an account. Raises TooManyAttempts."""
        await self.limiter.admit(self.of_registering, network_of(address))
