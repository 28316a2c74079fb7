"""Render values of the deployer and of analysis as text, trees, JSON and Markdown."""
