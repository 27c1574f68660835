"""SQL in, rows out, named by question."""
