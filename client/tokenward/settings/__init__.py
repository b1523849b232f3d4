"""What the user's files and variables choose: places, providers, and names of services."""
