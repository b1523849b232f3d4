"""Handle requests: a method for each operation, and one place that makes answers of failures."""
