"""Decisions, and the order of steps."""
