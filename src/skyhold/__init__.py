"""Skyhold: a flight booking service that never sells a seat twice."""

from importlib.metadata import version

__version__ = version("skyhold")
