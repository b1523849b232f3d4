"""Servers on loopback: package indexes, registries of other tools, and what stands before them."""
