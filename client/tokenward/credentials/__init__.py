"""Credentials: which one answers, where a new one goes, and how a closed vault is opened."""
