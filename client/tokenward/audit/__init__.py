"""The agent's audit log: reading it, and describing it."""
