"""Builds the Lambda packages and uploads them, with the templates, to the artifact buckets."""
