"""One module per command of `deploy.py`; each is imported only when it runs."""
