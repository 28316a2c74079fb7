"""An emulator of AWS, and the rehearsal of a whole environment on it.

`emulator` starts and stops MiniStack, `ministack_patch` adds what our templates require, `rehearse` deploys the chain
of stacks with the deployer's own functions, and `checks` verify the result through the AWS API.
"""
