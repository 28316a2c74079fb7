"""Generates least-privilege policies for users of deploy.py from the templates, without calls to AWS.

actions    permissions of CloudFormation's resource handlers, and resource types of each action
arns       names of our resources
calls      permissions for deploy.py's own calls
grants     the policies for planning and deploying
operate    the policies for sessions, logs and other commands of operation
documents  splits statements into managed policies
trust      trust policies of roles
evaluate   decides an API call as IAM does
"""
