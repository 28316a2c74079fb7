"""Estimates the monthly cost of an environment from its templates: a range from idle to scaled out.

The sum contains items with a price by hour or month. Charges by usage depend on traffic, which templates do not
contain. Items without a price in the bundled table are listed, never estimated.
"""
