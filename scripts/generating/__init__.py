"""What `scripts/generate` makes of the commands: one module for each form."""
