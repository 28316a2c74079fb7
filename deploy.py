#!/usr/bin/env python3
"""Thin entry of the command line; everything is in `hosting/cli/`."""

import signal
import sys

from hosting.cli.main import main

if __name__ == "__main__":
    # A cancelled build sends SIGTERM: what was begun has to be cleaned up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
