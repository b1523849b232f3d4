"""Credential helpers: the programs that git, docker, cargo and Bazel ask for a credential."""
