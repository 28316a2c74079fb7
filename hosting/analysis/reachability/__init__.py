"""A proof, from the resolved templates alone, of who can reach whom.

`world` says what stands in the VPC and who is beside it, `traffic` what security groups and routes let through,
`claims` what this platform means to be open and closed, `report` how the proof is written. Nothing here asks AWS.
"""
