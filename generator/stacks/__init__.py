"""The companion stacks of root: bootstrap, edge and edge monitoring."""
