"""The settings in the user's files and variables: places, providers, and names of services."""
