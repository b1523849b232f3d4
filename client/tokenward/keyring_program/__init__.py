"""The `keyring` programs: tokenward's, by which tools reach it, and the user's own on PATH."""
