"""Operation of a deployed environment: tunnels, sessions, standalone tasks, status, logs, the static site, preflight
checks.

All names and ids are read from the deployed stacks. Nothing is printed.
"""
