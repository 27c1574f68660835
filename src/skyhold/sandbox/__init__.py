"""A payment provider to try things with: a ledger, a process and a page of its own; no money."""
