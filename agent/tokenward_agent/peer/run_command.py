"""The command that `auth exec` is about to become, as the requester of what the run may use.

`auth exec -- twine upload …` asks for the run before it becomes twine. Its own command line, which
the kernel has, says what it will be; so a rule about twine counts from the start, and the files on
the command line are evidence. Where a command is named without its folder, `auth exec` says in
which one it found it: a name is what a program calls itself, anyway. Pure.
"""

from __future__ import annotations

import os

from tokenward_agent.peer.program import program_of
from tokenward_agent.peer.purpose import words_of_run
from tokenward_agent.peer.requester import Link, Requester


def requester_of_run(requester: Requester, path: str = "") -> Requester:
    """Return the requester that `auth exec` will be; the same one if its words are not known.

    `path` is where it found its command; it counts if that is what its command line names.
    """
    if not requester.chain:
        return requester
    first, *above = requester.chain
    words = tuple(words_of_run(first.program.arguments))
    if not words or not first.process.whole:
        return requester
    cwd, name = first.process.cwd, words[0]
    if "/" in name:
        exe = os.path.normpath(os.path.join(cwd, name)) if cwd else name
    else:
        exe = path if os.path.isabs(path) and os.path.basename(path) == name else name
    process = first.process._replace(argv=words, exe=exe)
    return Requester((Link(process, program_of(process)), *above))
