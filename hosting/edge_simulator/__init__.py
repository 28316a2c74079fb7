"""Simulator of the edge: requests pass CloudFront and the load balancer as the resolved templates configure them.

`docs/edge-simulator.md` states what it models.
"""

from hosting.edge_simulator.resources import resources_of_stack
from hosting.edge_simulator.simulator import EdgeSimulator, running

__all__ = ["EdgeSimulator", "resources_of_stack", "running"]
