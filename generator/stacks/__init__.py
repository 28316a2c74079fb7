"""The stacks beside root: bootstrap, edge and edge monitoring."""
