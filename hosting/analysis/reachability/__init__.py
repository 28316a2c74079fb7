"""Proves from the resolved templates which network paths are open and which are closed, without calls to AWS.

`network_model` holds the endpoints in the VPC and the peers outside it. `traffic` evaluates security groups and routes.
`claims` states which paths have to be open or closed. `report` writes the proof as text or JSON.
"""
