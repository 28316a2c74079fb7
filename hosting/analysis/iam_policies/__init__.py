"""Least-privilege policies for whoever runs deploy.py, read off the templates.

`actions` says what AWS knows (which permissions CloudFormation's handler of a type needs, which resources an action can
be bound to), `arns` how our resources are named, `calls` what deploy.py itself asks of AWS, `grants` puts the three
together, `operate` does the same for the commands that open sessions and look, `documents` cuts the result into managed
policies, `trust` is the other half of a role, and `evaluate` decides a call as IAM would. Nothing here asks AWS.
"""
