"""What an environment costs in a month, as far as its templates say: a range, from idle to scaled out.

Only what has a price by the hour or month is summed up. What is charged by use depends on traffic that no template
knows, and what has no price in the bundled table is listed, never guessed.
"""
