"""Runs the containers of an environment as processes of this machine, with what their task definitions declare.

``container`` reads a task definition and ``process`` starts its app container, which ``sandbox`` isolates with
bubblewrap. ``database`` starts the MariaDB server that replaces Aurora.
"""
