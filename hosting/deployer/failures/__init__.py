"""Diagnosis of failed deployments: the first failure, the chain that followed, its cause, and the remedy.

`signatures/` is the failure catalogue, a table of AWS messages. `catalogue` searches it, and `rootcause` reads the
events of an operation. Nothing here calls AWS.
"""
