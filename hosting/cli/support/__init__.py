"""What several commands share: options, exit codes, signals, following operations."""
