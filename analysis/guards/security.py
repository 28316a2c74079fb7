"""Guards of the security area."""
