"""Mechanisms any service needs. No word of the trade appears here."""
