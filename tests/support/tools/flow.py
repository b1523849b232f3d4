"""What it means that a tool works: one way to publish or install, and how it ends when it cannot.

A flow is run by a function that gets the stage and drives the real tool. Nothing in it names a
secret, and nothing in it knows of tokenward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from support.tools.stage import Stage


class Flow(NamedTuple):
    """`title` says it in words; `done` looks for what has to be there when it succeeded.

    `setup` names the tools for which `auth setup` is to do more than let the keyring library find
    us, and `server` the kind of index that the flow is made for: `pypiserver` or `devpi`.
    """

    title: str
    run: Callable[[Stage], CompletedProcess[str]]
    done: Callable[[Stage], bool]
    setup: tuple[str, ...] = ()
    server: str = "pypiserver"
