"""The functions as a short script would do the same work: no checks of input, no retries, no limits of memory.

`make bench` measures them beside the functions of the platform. Each module is the whole `index.py` of a package.
"""
