"""Guards of the distribution area."""
