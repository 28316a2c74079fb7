"""Define the exit codes. They mean the same in every command; `deploy.py --help` lists them."""

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    ERROR = 1
    CHANGES = 2
    REFUSED = 3
    FAILED = 4
    RECOVERY_REQUIRED = 5
    USAGE = 64
    INTERRUPTED = 130
