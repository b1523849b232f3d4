"""The session's life: what an agent sees of it, and locks upon."""
