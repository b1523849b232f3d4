"""Errors of the place where an agent listens, for every kind of place."""

from __future__ import annotations


class ListenAddressError(Exception):
    """The agent cannot listen there; the text is one sentence for the user."""


class AlreadyRunning(Exception):  # noqa: N818 - not a fault: another agent serves
    """Another agent serves what the text names: this address, or this credentials directory."""
