"""Patches that make MiniStack behave like AWS where our deployments depend on it, applied inside its own process.

`patches.py` is the table of all patches: what MiniStack does, what AWS does, and AWS's document. The patches import
private functions of MiniStack, so they work with exactly one version, and `__main__` refuses any other. Only the
emulator's interpreter can import this package, except for `patches`.
"""

SUPPORTED_VERSION = "1.5.33"
