#!/usr/bin/env python3
"""Thin entry of the command line; everything is in `commands/`."""

import sys

from commands.main import main

if __name__ == "__main__":
    sys.exit(main())
