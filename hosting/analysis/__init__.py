"""Reads the templates and the parameter files, without AWS: resolve, lint, guard, report."""
