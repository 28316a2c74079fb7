"""Guards of the database area."""
