"""How long a first deployment takes, and why: the longest chain of resources that wait for each other."""
