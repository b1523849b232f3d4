"""Credential helpers: the programs by which git, docker, cargo and Bazel ask for a credential."""
