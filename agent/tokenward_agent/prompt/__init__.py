"""Prompts: asking the user whether a credential may be handed out."""
