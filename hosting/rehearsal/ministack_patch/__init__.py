"""What MiniStack lacks for our templates, added inside its own process.

Everything here imports MiniStack's private functions, so it works with exactly one version; `__main__`
refuses any other. Nothing outside this package may import it: only the emulator's interpreter can.
"""

SUPPORTED_VERSION = "1.5.33"
