"""Calls of Windows that both sides make."""
