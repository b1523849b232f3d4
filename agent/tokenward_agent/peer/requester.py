"""The requester, as decisions and the audit log name it: a chain of processes, the peer first.

Some programs ask for another one: the tool that wants the credential starts `keyring` or this
project's relay. They are *go-betweens*; the `tool` is the first process that is not one. A
go-between is recognised by its name, which any program may take; so the whole chain is kept and
shown, and no chain is allowed anything because of its go-between.

A chain is `known` if no process of it could be a different program than it seems: each one could be
read, it is known what each runs, and no process above was left out. One rule is milder above the
program that gave the terminal: there a session's own manager may be closed (systemd's has a
capability), and with `hidepid` root's processes show nothing. A tool that runs a program text is
not known either; a text in a process above has no name that a rule could match.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tokenward_agent.peer.process import MOST, Process, is_above_terminal, terminal_name
from tokenward_agent.peer.program import Program, hints_of, program_of

GO_BETWEENS: Final = frozenset(
    {
        "keyring",
        "tokenward.keyring_relay",
        "git-credential-tokenward",
        "docker-credential-tokenward",
        "cargo-credential-tokenward",
    }
)
"""Programs that ask for the program that started them."""

TEXT: Final = 256  # characters of a path that the audit log keeps
PARENTS: Final = 8
"""The most processes above the tool, and of its go-betweens, that the audit log names."""


class Link(NamedTuple):
    """One process of a chain and what it runs."""

    process: Process
    program: Program


class Requester(NamedTuple):
    """The requester behind a connection; an empty `chain` means unknown."""

    chain: tuple[Link, ...]

    @classmethod
    def from_processes(cls, processes: tuple[Process, ...]) -> Requester:
        """Return the requester with these processes, each with what it runs."""
        return cls(tuple(Link(process, program_of(process)) for process in processes))

    @property
    def tool(self) -> Link | None:
        """The first of the chain that asks for itself, None for an unknown requester."""
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
        """Whether the tool and every process above it are known."""
        tool = self.tool
        if tool is None or tool.program.is_text or not tool.process.exe:
            return False
        last = self.chain[-1].process
        ended = last.parent <= 1 or (len(self.chain) < MOST and self._gave_terminal(last))
        return ended and all(_is_certain(e) or self._is_manager(e.process) for e in self.chain)

    def hints(self) -> frozenset[str]:
        """Return names of files that may run there besides the known programs."""
        return frozenset().union(*(hints_of(*link) for link in self.chain))

    def _gave_terminal(self, process: Process) -> bool:
        return is_above_terminal(process, self.chain[0].process)

    def _is_manager(self, process: Process) -> bool:
        """Tell whether a closed process may be a session's manager, started by the system."""
        return process.closed and process.parent <= 1 and self._gave_terminal(process)

    def _is_go_between(self, at: int) -> bool:
        program = self.chain[at].program
        # The `keyring` of `auth setup` is a shell script that runs a few lines of Python.
        is_child = program.is_text and at + 1 < len(self.chain) and self._is_go_between(at + 1)
        return program.name in GO_BETWEENS or is_child

    def describe(self) -> dict[str, object]:
        """Return the map for the audit log; no argument of a process, which may be a secret."""
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
            "connected": self._describe_connection(at),
            "unknown": not self.is_known,
        }
        return {key: value for key, value in found.items() if value}

    def _describe_connection(self, at: int) -> dict[str, object]:
        """Return the map of the peer that connected for the tool at place `at` of the chain."""
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


def _is_certain(link: Link) -> bool:
    """Tell whether a process runs what it seems to; root's own show no more than that."""
    return not link.process.closed and (link.program.is_known or not link.process.exe)


UNKNOWN: Final = Requester(())  # the requester has ended or cannot be read
