"""Modules that deploy.py uses and that packaging copies into the Lambda functions that import them.

A function imports such a module by its bare name (`from redact import Redactor`). So a module here imports only the
standard library. It runs on the Python of deploy.py and on the Python of the functions.
"""
