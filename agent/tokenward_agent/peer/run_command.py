"""The command that `auth exec` is about to become, as the requester of what the run may use.

`auth exec -- twine upload …` asks for the run before it becomes twine. Its own command line, which
the kernel has, says what it will be; so a rule about twine counts from the start, and the files on
the command line are evidence. Pure.
"""

from __future__ import annotations

import os

from tokenward_agent.peer.program import program_of
from tokenward_agent.peer.purpose import words_of_run
from tokenward_agent.peer.requester import Link, Requester


def requester_of_run(requester: Requester) -> Requester:
    """Return the requester that `auth exec` will be; the same one if its words are not known."""
    if not requester.chain:
        return requester
    first, *above = requester.chain
    words = tuple(words_of_run(first.program.arguments))
    if not words or not first.process.whole:
        return requester
    # Which file the name leads to shows only once it runs.
    process = first.process._replace(argv=words, exe=os.path.basename(words[0]))
    return Requester((Link(process, program_of(process)), *above))
