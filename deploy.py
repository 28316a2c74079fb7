#!/usr/bin/env python3
"""Start the command line of `hosting/cli/`."""

import sys

if __name__ == "__main__":
    try:
        from hosting.cli.main import main
        from hosting.cli.support.signals import interrupt_on_sigterm
    except ModuleNotFoundError as missing:
        if missing.name != "click":
            raise
        sys.exit(
            f"error: {sys.executable} does not have this project's packages. "
            "Run `make install`, then start `.venv/bin/python deploy.py`."
        )
    interrupt_on_sigterm()
    sys.exit(main())
