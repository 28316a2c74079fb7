"""`python -m hosting.rehearsal` runs one emulator in the foreground, to try things with the AWS CLI."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, Emulator
from hosting.rehearsal.errors import EmulatorError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hosting.rehearsal", description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds every resource takes")
    parser.add_argument("--account", default=DEFAULT_ACCOUNT, help="twelve digits")
    parser.add_argument("--region", default=DEFAULT_REGION)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Emulator(delay=arguments.delay) as emulator:
            for name, value in emulator.environment(arguments.account, arguments.region).items():
                sys.stdout.write(f"export {name}={value}\n")
            sys.stdout.flush()
            sys.stderr.write(f"The emulator runs until Ctrl-C; its log is {emulator.log}\n")
            while True:
                time.sleep(1)
                emulator.raise_if_dead()
    except KeyboardInterrupt:
        return 130
    except EmulatorError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
