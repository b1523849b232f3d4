"""The agent's audit log, read and told."""
