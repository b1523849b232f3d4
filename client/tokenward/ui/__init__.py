"""What a person types and reads: the command line, secrets, the terminal, and how things look."""
