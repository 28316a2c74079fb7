"""Reads the templates and the parameter files, without AWS: resolve, lint, check rules, report."""
