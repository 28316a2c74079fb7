"""Turns values of the deployer and of analysis into text, trees, JSON and Markdown. Prints nothing."""
