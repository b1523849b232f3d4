"""The command line, the terminal, the input of secrets, and the layout of text."""
