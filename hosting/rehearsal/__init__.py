"""An AWS to deploy to without AWS, and the rehearsal of a whole environment on it.

`emulator` starts and stops MiniStack, `extension` teaches it what our templates need, `rehearse` deploys
the chain of stacks to it with the deployer's own functions and proves the result through the AWS API.
"""
