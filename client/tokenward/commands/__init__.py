"""One module for each command; tokenward/cli.py imports it by name when the user calls it."""
