"""Exports: the file, and what goes into one and comes back."""
