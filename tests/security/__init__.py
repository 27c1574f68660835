"""Who may do what, and what bad input gets: over real HTTP, against both services."""
