"""What both sides need of the operating system. Knows nothing of tokenward, and imports nothing of it."""
