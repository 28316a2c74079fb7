"""What protects data and the account: gates, stack policies, deletion protection, secret rotation."""
