"""What may be wrong with the place where an agent is to listen, whatever kind of place it is."""

from __future__ import annotations


class PlaceError(Exception):
    """Nobody can listen there; the text is one sentence for the user."""


class AlreadyRunning(Exception):  # noqa: N818 - no error: somebody else serves
    """Another agent serves what the text names: this address, or this credentials directory."""
