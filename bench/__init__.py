"""What each operation costs, in CPU of all processes together, beside its floor."""
