"""Ports of this machine that nobody listens on."""

from __future__ import annotations

import random
import socket

# Below those that the kernel hands out: one of a dead part stays free until it is back.
RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """So many of them, for parts that die and come back."""
    found: list[int] = []
    for port in random.SystemRandom().sample(RANGE, len(RANGE)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    msg = f"{len(found)} ports are free, and not {count}"
    raise OSError(msg)
