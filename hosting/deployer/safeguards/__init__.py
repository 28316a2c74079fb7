"""Protections of data and of the account: gates, stack policies, deletion protection, secret rotation."""
