"""One module for each subject; each says in ROUTES which addresses are its own."""
