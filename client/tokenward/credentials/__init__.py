"""Credentials: finding one, storing one, and opening a closed vault."""
