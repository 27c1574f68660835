"""Pages for travellers and for the desk: a client of the public API like any other."""
