"""The audit log: files of lines in which every change is detected, and the verifier."""
