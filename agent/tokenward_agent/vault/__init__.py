"""One vault: its format, its file, its slots and its records, sealed but while they are used.

Synchronous, and without a word about sockets or workers; docs/VAULT.md is the normative text.
"""
