"""How often something may be done, in the words of a setting: `5/minute; 20/hour`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from limits import RateLimitItem, parse_many
from pydantic import AfterValidator

# An IPv6 customer has a network of so many bits, and chooses freely among its addresses.
IPV6_NETWORK_BITS = 64
OFF = "off"


@dataclass(frozen=True, slots=True)
class Quota:
    """So often in each of these windows, the shortest first. Without any there is no limit.

    Several windows make the wait grow: after five attempts a minute, after ten ten minutes.
    """

    name: str
    windows: tuple[RateLimitItem, ...]

    @classmethod
    def of(cls, name: str, text: str) -> Quota:
        """From a setting; OFF is no limit. Raises ValueError."""
        found = [] if text.strip().lower() == OFF else parse_many(text)
        return cls(name, tuple(sorted(found, key=RateLimitItem.get_expiry)))


def _readable(text: str) -> str:
    try:
        Quota.of("", text)
    except ValueError:
        msg = "should look like 5/minute; 20/hour, or be off"
        raise ValueError(msg) from None
    return text


QuotaText = Annotated[str, AfterValidator(_readable)]


@lru_cache(maxsize=10_000)
def network_of(address: str | None) -> str:
    """What of an address counts as one place: all of IPv4, the network of IPv6 (RFC 6177)."""
    if address is None:
        return "nowhere"
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_NETWORK_BITS), strict=False))
