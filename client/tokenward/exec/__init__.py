"""`auth exec`: what a tool is started with."""
