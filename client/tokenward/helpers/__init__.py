"""Credential helpers: the programs that git, docker and cargo ask for a credential.

Each function loads what its tool needs and nothing of the others. No garbage is collected on the
way: what a helper leaves behind ends with it, and looking for it takes a tenth of what the
interpreter takes to start.
"""

from __future__ import annotations

import gc


def run_git() -> int:
    """Do what git asks for; return the exit status, which git ignores."""
    gc.disable()
    from tokenward.helpers import git, program

    return program.run(git.work)


def run_docker() -> int:
    """Do what docker asks for; return the exit status."""
    gc.disable()
    from tokenward.helpers import docker, program

    return program.run(docker.work)


def run_cargo() -> int:
    """Answer cargo until it hangs up; return the exit status."""
    gc.disable()
    from tokenward.helpers import cargo, program

    return program.run(cargo.work)
