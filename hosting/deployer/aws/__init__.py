"""Access to the AWS API: sessions, lookups, stack states, and which errors are retryable."""
