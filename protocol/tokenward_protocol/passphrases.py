"""Parameters for deriving a key from a passphrase by Argon2id (RFC 9106), in vaults and exports."""

from __future__ import annotations

SALT_SIZE = 16  # bytes
ARGON2ID = {"memory": 64 * 1024, "passes": 3, "lanes": 4}
"""For a new passphrase, memory in KiB; about 0.15 s on two cores of 2023."""

LIMITS = {"memory": (8 * 1024, 256 * 1024), "passes": (1, 8), "lanes": (1, 16)}
"""The bounds of the parameters in an unverified header: ten times the usual work at most."""
