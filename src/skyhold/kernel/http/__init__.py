"""What every HTTP service of ours does the same way: problems, identities, limits, pages."""
