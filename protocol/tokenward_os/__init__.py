"""The parts of the operating system that both sides need. It imports nothing of tokenward."""
