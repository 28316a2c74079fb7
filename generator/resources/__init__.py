"""Functions that build single resources in the shape that every layer uses."""
