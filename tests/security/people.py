"""Everybody who may knock, and what they show."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import jwt
from sqlalchemy import update

from skyhold.booking.models.tables import UserRow
from skyhold.kernel.auth import Tokens, access_kind
from support.system import JWT_SECRET, PASSWORD, eventually

from .lab import Lab, Person
from .policies import IDENTITIES

PROOF = {"Sec-Fetch-Site": "same-origin", "Origin": "http://skyhold.test"}
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@dataclass
class People:
    """Those whose sessions last, and tokens that are worth nothing any more."""

    lab: Lab
    owner: Person
    other: Person
    staff: Person
    admin: Person
    broken: dict[str, str]

    @classmethod
    async def gather(cls, lab: Lab) -> People:
        owner, other = await lab.person(), await lab.person()
        staff, admin = await in_role(lab, "staff"), await in_role(lab, "admin")
        gone = await lab.person()
        await as_person(lab, gone, "POST", "users/logout")
        deleted = await lab.person()
        await as_person(lab, deleted, "POST", "users/me/deletion", {"password": PASSWORD})
        for one in (gone, deleted):
            await _until_it_is_known_everywhere(lab, one)
        broken = {"logged out": gone.token, "deleted": deleted.token}
        broken |= {"a refresh token": owner.refresh_token} | forged(owner.token)
        return cls(lab, owner, other, staff, admin, broken)

    def headers(self, identity: str, service: str, owner: Person) -> dict[str, str]:
        """What this identity shows to a service; cookies are the owner's."""
        assert identity in IDENTITIES
        tokens = {"owner": owner.token, "other": self.other.token} | self.broken
        tokens |= {"staff": self.staff.token, "admin": self.admin.token}
        if identity == "service":
            tokens["service"] = self.lab.service_token(service)
        if identity == "another service":
            tokens["another service"] = self.lab.service_token(service, of="billing")
        if identity in tokens:
            return {"Authorization": f"Bearer {tokens[identity]}"}
        if not identity.startswith("cookie"):
            return {}
        cookies = f"skyhold_access={owner.token}; skyhold_refresh={owner.refresh_token}"
        proof = {"cookie with proof": PROOF, "cookie from elsewhere": FROM_ELSEWHERE}
        return {"Cookie": cookies} | proof.get(identity, {})


async def in_role(lab: Lab, role: str) -> Person:
    """Somebody who works here. Roles come from the command line only, so it is written down."""
    person = await lab.person()
    change = update(UserRow).where(UserRow.email == person.email).values(role=role)
    await lab.bookings.transact(lambda tx: tx.run(change))
    return await lab.session(person.email)


async def as_person(lab: Lab, person: Person, method: str, path: str, body: object = None):
    headers = {"authorization": f"Bearer {person.token}"}
    reply = await lab.system.bookings_http.request(
        method, f"/api/v1/{path}", json=body, headers=headers
    )
    assert reply.status_code < 300, reply.text
    return reply


async def _until_it_is_known_everywhere(lab: Lab, person: Person) -> None:
    """A session that has ended is over within two seconds at the other service too."""
    headers = {"authorization": f"Bearer {person.token}"}

    async def refused(http: httpx.AsyncClient, path: str) -> bool:
        return (await http.post(path, headers=headers, json={})).status_code == 401

    await eventually(lambda: refused(lab.system.bookings_http, "/api/v1/bookings"))
    await eventually(lambda: refused(lab.system.flights_http, "/api/v1/flights"))


def forged(token: str) -> dict[str, str]:
    """A good token, made into what must not be taken for one."""
    claims = jwt.decode(token, options={"verify_signature": False})
    header = {"typ": "at+jwt"}
    elsewhere = jwt.encode(claims | {"aud": "elsewhere"}, JWT_SECRET, "HS256", headers=header)
    head, _, signature = token.split(".")
    admin = _part(claims | {"role": "admin"})
    kept = {name: claims[name] for name in ("sid", "role")}
    past = Tokens(JWT_SECRET, access_kind(600), _Then(datetime.now(UTC) - timedelta(days=2)))
    return {
        "expired": past.issue(claims["sub"], **kept),
        "another audience": elsewhere,
        "no algorithm": f"{_part({'alg': 'none', 'typ': 'at+jwt'})}.{_part(claims)}.",
        "tampered": f"{head}.{admin}.{signature}",
    }


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass(frozen=True)
class _Then:
    at: datetime

    def now(self) -> datetime:
        return self.at
