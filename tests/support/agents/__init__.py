"""Agents to test against, and clients for them: those that behave, and those that do not."""
