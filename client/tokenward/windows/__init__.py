"""Windows only: its pipes, its console, its processes, called through ctypes."""
