"""Guards of the network area."""
