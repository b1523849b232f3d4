"""The requester: the process at the other end, its parents, and what it is about to publish."""
