"""The record: a file of lines in which no change goes unnoticed, and the look that notices it."""
