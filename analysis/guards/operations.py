"""Guards of the operations area."""
