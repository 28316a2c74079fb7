"""Deploys, updates and deletes the stacks of an environment, and operates what is deployed.

Each step returns a value that the next step takes, so that it can be printed instead of executed. This package reports
through `reporter.Reporter`. It does not print, prompt, read the command line or exit: `hosting/cli/` does.
"""
