"""What only Windows has: its pipes, its console, its processes, called through ctypes."""
