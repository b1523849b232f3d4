"""Who asks, as decisions and the record name it: a chain of processes, the asking one first.

Some programs ask for another one: `keyring` and this project's relay are started by the tool that
wants the credential. They are *go-betweens*; the `tool` is the first that is none. A go-between is
told by its name, which any program may take; so the whole chain is kept and shown, and nothing is
allowed to a chain because of the go-between in it.

A chain is `known` where nothing of it could be somebody else: each process could be looked into, of
each it is told what it runs, and none stands above that was not looked at. Above the program of its
terminal one rule is milder: there a session's own manager may be closed (systemd's has a capability),
and with `hidepid` nothing is shown of what root runs. A tool that runs a text is not known either; in a
process above it a text is nothing that could have a name.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.asking.process import MOST, Process, is_above_terminal, terminal_name
from tokenward_agent.asking.program import Program, hints_of, program_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

GO_BETWEENS: Final = frozenset(
    {
        "keyring",
        "tokenward.keyring_relay",
        "git-credential-tokenward",
        "docker-credential-tokenward",
        "cargo-credential-tokenward",
    }
)
"""Programs that ask for the one that started them."""

TEXT: Final = 256
"""Characters of a path that the record keeps."""

PARENTS: Final = 8
"""Processes above the tool, and of those that it asks through, that the record names."""


class Link(NamedTuple):
    """One process of a chain and what it runs."""

    process: Process
    program: Program


class Asker(NamedTuple):
    """Who is at the other end of a connection; an empty `chain` is an unknown one."""

    chain: tuple[Link, ...]

    @classmethod
    def of(cls, processes: tuple[Process, ...]) -> Asker:
        """Name what each of these processes runs."""
        return cls(tuple(Link(process, program_of(process)) for process in processes))

    @property
    def tool(self) -> Link | None:
        """The first of the chain that asks for itself, None where nobody is known."""
        for at, link in enumerate(self.chain):
            if not self._is_go_between(at):
                return link
        return self.chain[0] if self.chain else None

    def starters(self, tool: Link) -> list[str]:
        """Name what started a tool of the chain, up to the program that gave it its terminal."""
        names: list[str] = []
        for link in self.chain[self.chain.index(tool) + 1 :]:
            names.append(link.program.name)
            if self._gave_terminal(link.process):
                break
        return names

    @property
    def is_known(self) -> bool:
        """Whether it is known who asks, and who stands above."""
        tool = self.tool
        if tool is None or tool.program.is_text or not tool.process.exe:
            return False
        last = self.chain[-1].process
        ended = last.parent <= 1 or (len(self.chain) < MOST and self._gave_terminal(last))
        return ended and all(_is_sure(e) or self._is_manager(e.process) for e in self.chain)

    def hints(self) -> frozenset[str]:
        """Return names of files that may be run there beside what the processes are known by."""
        return frozenset().union(*(hints_of(*link) for link in self.chain))

    def _gave_terminal(self, process: Process) -> bool:
        return is_above_terminal(process, self.chain[0].process)

    def _is_manager(self, process: Process) -> bool:
        """Tell whether a closed process may be what the system itself started a session with."""
        return process.closed and process.parent <= 1 and self._gave_terminal(process)

    def _is_go_between(self, at: int) -> bool:
        program = self.chain[at].program
        # The `keyring` of `auth setup` is a shell script that has Python run a few lines.
        child = program.is_text and at + 1 < len(self.chain) and self._is_go_between(at + 1)
        return program.name in GO_BETWEENS or child

    def described(self) -> dict[str, object]:
        """Return what the record keeps: no argument of any process, since it may be a secret."""
        tool = self.tool
        if tool is None:
            return {"program": "unknown"}
        terminals = (terminal_name(link.process.terminal) for link in self.chain)
        at = self.chain.index(tool)
        found = {
            "program": tool.program.name,
            "pid": tool.process.pid,
            "exe": tool.process.exe[:TEXT],
            "script": (tool.program.script or tool.program.module)[:TEXT],
            "cwd": tool.process.cwd[:TEXT],
            "terminal": next(filter(None, terminals), ""),
            "unit": self.chain[0].process.unit[:TEXT],
            "through": [link.program.name for link in self.chain[:at]][:PARENTS],
            "parents": [link.program.name for link in self.chain[at + 1 :]][:PARENTS],
            "connected": self._connected(at),
            "unknown": not self.is_known,
        }
        return {key: value for key, value in found.items() if value}

    def _connected(self, at: int) -> dict[str, object]:
        """Return what the record keeps of who connected for the tool, the so many-th of the chain."""
        if not at:
            return {}
        process = self.chain[0].process
        scripts = (link.program.script or link.program.module for link in self.chain[:at])
        found = {
            "pid": process.pid,
            "exe": process.exe[:TEXT],
            "script": next(filter(None, scripts), "")[:TEXT],
            "cwd": process.cwd[:TEXT],
        }
        return {key: value for key, value in found.items() if value}


def _is_sure(link: Link) -> bool:
    """Tell whether a process runs what it seems to; of root's own nothing but that can be told."""
    return not link.process.closed and (link.program.is_known or not link.process.exe)


UNKNOWN: Final = Asker(())
"""Whoever it is: it ended, or cannot be looked at."""
