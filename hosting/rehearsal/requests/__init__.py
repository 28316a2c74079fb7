"""Requests through the simulated edge of a deployed environment: what apps receive, and what viewers get.

`table` has the requests with their expectations, which follow docs/app-contract.md. `deployed` reads the live stacks.
`runner` sends the requests and compares.
"""
