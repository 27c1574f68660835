"""The engines that a database may run on, and all that differs between them.

Each module of this folder is one engine: how its connections are opened and configured, what its
error codes mean, and which of its server's settings would break a promise of ours.
"""

from .engine import Engine, Limits, Meaning, Pools, Unsafe, pool_of
from .urls import engine_for, shown

__all__ = ["Engine", "Limits", "Meaning", "Pools", "Unsafe", "engine_for", "pool_of", "shown"]
