"""Asking a person whether a credential may be handed out."""
