"""The model of a project that deployer and analysis share: templates, parameters, intrinsic functions and order.

The package is pure: it imports only the standard library, reads files that it is given, and calls nothing.
"""
