"""What a process runs: its program, or the script or module that an interpreter runs.

The user calls `/usr/bin/python3 -I /home/ana/.local/bin/twine upload` twine, and so does this
module. Pure. A process chooses what it says of itself: a name is not a proof.

A program is not known if its name is uncertain: an option that interpreters.py does not have, a
command line that could not be read to its end, or a program that has the name of an interpreter and
is not one. The caller decides what follows from that (requests/access_request.py).
"""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.peer.interpreters import (
    MODULE,
    MULTI_CALL,
    SHELLS,
    TEXT,
    UNKNOWN,
    is_descriptor,
    kind_of,
    run_of,
)

if TYPE_CHECKING:
    from tokenward_agent.peer.process import Process

SENDS: Final = {
    "twine": {"upload", "register"},
    "devpi": {"upload", "push"},
    "maturin": {"upload", "publish"},
    **{name: {"publish"} for name in ("uv", "poetry", "pdm", "hatch", "flit", "cargo")},
}
"""Programs, and those of their commands that send to an index."""

FETCHES: Final = re.compile(r"pip[0-9.]*|pipx|uv|uvx|poetry|pdm|hatch|pipenv|build|pyproject-build")
"""Programs whose other commands fetch from an index, if they use one at all."""

_OTHERS: Final = frozenset({"auth", "tokenward", "keyring"})


_COMPILED: Final = frozenset(
    {"bazel", "bazelisk", "buildah", "cargo", "docker", "git", "git-remote-http", "hatch"}
    | {"git-remote-https", "maturin", "micromamba", "pixi", "podman", "rattler-build", "rye"}
    | {"skopeo", "uv", "uvx"}
)
"""Programs that are what their file is: they run no other text or file in its place."""

_DELETED: Final = " (deleted)"
_BY_NAME: Final = ""
_COMMANDS: Final = re.compile(r"[;&|()`\n]+")
_APART: Final = re.compile(r"[\s;&|()<>{}$=\"'`]+")


def is_tool(name: str) -> bool:
    """Tell whether a program has the name of a tool that runs no other program in its place."""
    return name in SENDS or name in _OTHERS or FETCHES.fullmatch(name) is not None


class Program(NamedTuple):
    """What runs: a `name` for the user, and the `arguments` behind it.

    `script` is the absolute path of what an interpreter runs and `module` its name, "" otherwise;
    `is_text` means that it runs a program text instead. If `is_known` is false, the name is at best
    one of several.
    """

    name: str
    script: str
    module: str
    arguments: tuple[str, ...]
    is_text: bool = False
    is_known: bool = True


def program_of(process: Process) -> Program:
    """Name what a process runs, by what could be read of it."""
    kind, argv = _interpreter_of(process)
    if kind is None or not argv:
        name = os.path.basename(_path_of(process)) or process.name
        text = process.exe.startswith("/memfd:")
        known = process.whole and (
            not argv or argv[0].endswith(name) or _claimed_interpreter(argv) is None
        )
        return Program(_shorten(name), "", "", argv[1:], is_text=text, is_known=known)
    run = run_of(kind, argv)
    behind, known = argv[run.behind :], process.whole
    if run.what == MODULE:
        name = run.word.removesuffix(".__main__")
        return Program(_shorten(name), "", run.word, behind, is_known=known)
    if run.what == TEXT:
        return Program(kind, "", "", behind, is_text=True, is_known=known)
    if run.what == UNKNOWN:
        return Program(kind, "", "", argv[1:], is_known=False)
    script = os.path.normpath(os.path.join(process.cwd, run.word))
    if is_descriptor(script):
        return Program(kind, "", "", behind, is_text=True, is_known=known)
    known = known and os.path.isabs(script)
    return Program(_name_of_script(script), script, "", behind, is_known=known)


def lasting_name(process: Process, program: Program) -> str | None:
    """Return a name by which a later process can be recognised as the same program, or None.

    The name is "" if the process' own file says everything. A text is never the same program, nor
    is a file that an interpreter without a table here runs (php, java, the dynamic linker): so
    every program counts as an interpreter unless it is known not to be one. A script may run other
    files, too (pdb, coverage, pytest): it is the same only with the same arguments, unless it is a
    tool that the agent knows.
    """
    file = _path_of(process)
    if not program.is_known or program.is_text or not file or file != process.exe:
        return None
    if program.script or program.module:
        if not process.cwd:
            return None
        # Python looks for a module in the folder first, so the folder is part of the name.
        runs = program.script or f"{program.module} in {process.cwd}"
        words = () if is_tool(program.name) else (process.cwd, program.arguments)
        return f"{runs} with {hash(words)}" if words else runs
    name = os.path.basename(file).removesuffix(".exe")
    return "" if name in _COMPILED else None


def hints_of(process: Process, program: Program) -> frozenset[str]:
    """Return names of files that the process may run besides its known program.

    They are the names on its command line whose meaning is not known: every word of a text (`source
    deploy`, `import deploy`; but not what a shell starts as a process of its own); the words of a
    program that is in no table and may be an interpreter (`php helper.php`, `ld.so ./helper`); and
    those of a script or module that is not a known tool and may be one, too (`python -m pdb
    helper.py`). A script that is not named by its whole path counts as well, since it may be one of
    another folder: a shell looks on PATH, and a process may have changed its folder.
    """
    runs = program.script or program.module
    known = is_tool(program.name) if runs else os.path.basename(_path_of(process)) in _COMPILED
    words = program.arguments if runs else process.argv[1:]
    parts = (part for word in (() if known else words) for part in _APART.split(word))
    named = [part for part in parts if "/" in part or "." in part]
    if program.is_text:
        named += _words_of_text(process.argv[1:], is_shell=program.name in SHELLS)
    if program.script and program.script not in process.argv:
        named.append(program.script)
    found: set[str] = set()
    for path in named:
        name = path.rpartition("/")[2]
        found |= {name, name.removesuffix(".py")}
    return frozenset(found)


def _words_of_text(argv: tuple[str, ...], *, is_shell: bool) -> list[str]:
    """Return the words of a text; of a shell's commands all but the first, a process of its own."""
    found: list[str] = []
    for word in argv:
        starts = is_shell and any(map(str.isspace, word))
        for command in _COMMANDS.split(word):
            found += [*filter(None, _APART.split(command))][starts:]
    return found


def _interpreter_of(process: Process) -> tuple[str | None, tuple[str, ...]]:
    """Return the kind of interpreter of a process, None for none, and its words.

    Its file says so. Its own name for itself counts if the file cannot be read, and for a file that
    is many programs by their names.
    """
    argv = process.argv
    kind = _interpreter_of_file(process.exe)
    if kind != _BY_NAME:
        return kind, argv
    if process.exe and len(argv) > 1 and os.path.basename(argv[0]) in MULTI_CALL:
        argv = argv[1:]
    return (_claimed_interpreter(argv) if argv else None), argv


@functools.lru_cache(maxsize=1024)
def _interpreter_of_file(exe: str) -> str | None:
    """Return the kind of interpreter of a file, _BY_NAME if only the process' own name says so."""
    file = exe.removesuffix(_DELETED)
    return _BY_NAME if not file or os.path.basename(file) in MULTI_CALL else kind_of(file)


def _claimed_interpreter(argv: tuple[str, ...]) -> str | None:
    return kind_of(argv[0].removeprefix("-"))  # login shells begin with a dash


def _path_of(process: Process) -> str:
    """Return the path of a process' file, without the mark of a removed one."""
    return process.exe.removesuffix(_DELETED)


def _name_of_script(path: str) -> str:
    name = os.path.basename(path)
    if name == "__main__.py":
        name = os.path.basename(os.path.dirname(path))
    return _shorten(name.removesuffix(".py"))


def _shorten(name: str) -> str:
    return name[:64]
