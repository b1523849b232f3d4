"""What the requests of the vocabulary do, one method each, and how a failure is told."""
