"""The `keyring` programs: ours, which tools reach tokenward by, and the user's own on PATH."""
