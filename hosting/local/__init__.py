"""Runs the containers of an environment as processes of this machine, with what their task definitions declare.

``container`` reads a task definition, ``process`` starts its app container, and ``sandbox`` isolates it with bubblewrap.
``database`` starts the MariaDB server that replaces Aurora.
"""
