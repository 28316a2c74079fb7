"""Estimates the duration of a first deployment, and its longest chain of dependent resources."""
