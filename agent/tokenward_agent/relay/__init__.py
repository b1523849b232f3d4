"""The relays of runs: their certificates and their processes."""
