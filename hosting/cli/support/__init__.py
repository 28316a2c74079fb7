"""Code that several commands share: options, exit codes, signals, gates and the monitor of operations."""
