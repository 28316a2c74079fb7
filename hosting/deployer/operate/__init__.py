"""Operates what was deployed: tunnels, sessions, one-off tasks, state, logs, the static site, checks beforehand.

Everything is found from the stacks as they are, never from names put together here. Nothing is printed.
"""
