"""Render configuration to CloudFormation templates.

The package is pure: it uses no boto3, network, clock or environment variable. The same commit gives the same bytes.
"""
