"""What only Windows has: its pipes, descriptors, locked pages and jobs, called through ctypes."""
