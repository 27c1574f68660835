"""Find at most N due rows, call a service for each."""
