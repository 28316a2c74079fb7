"""Talks to AWS: parameters, packaging, change sets, events, destroy.

Every step returns a value that the next one takes, so that it can be printed instead of run. Nothing here
prints, asks, reads the command line or exits; that is the work of `hosting/cli/`.
"""
