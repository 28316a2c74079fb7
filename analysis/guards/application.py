"""Guards of the application area."""
