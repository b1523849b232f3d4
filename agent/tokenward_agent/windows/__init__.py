"""Windows only: its pipes, security descriptors, locked pages and jobs, called through ctypes."""
