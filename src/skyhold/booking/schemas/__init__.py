"""The public shapes of requests and answers."""
