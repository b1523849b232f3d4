"""Exports: the file format, and collecting and restoring credentials."""
