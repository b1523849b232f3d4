"""One vault: its format, file, slots and records; secrets stay sealed except while they are used.

Synchronous, and independent of sockets and workers; docs/VAULT.md is normative.
"""
