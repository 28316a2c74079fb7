"""Notes of users, with attachments."""
