"""Configuration in, CloudFormation templates out.

Pure: no boto3, no network, no clock, no environment variable. The same commit gives the same bytes.
"""
