"""Guards of the cloudformation area."""
