"""Credentials that a command makes: the recipes of `auth login`, and `auth refresh`."""
