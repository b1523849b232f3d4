"""What a process runs: its program, or the script or module that an interpreter runs for it.

`/usr/bin/python3 -I /home/ana/.local/bin/twine upload` is twine to a person, and so it is here.
Pure. A process says about itself what it likes: this names it and is no proof of what it is.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.asking.process import Process

_INTERPRETERS: Final = re.compile(
    r"(python|pypy|node|ruby|perl|bash|dash|zsh|sh)[0-9.]*(-(32|64|dbg))?(\.exe)?"
)
_PYTHONS: Final = ("python", "pypy")
_WITH_VALUE: Final = {"python": "WX", "pypy": "WX", "node": "r", "ruby": "IrC", "perl": "I"}
"""Options of one letter whose value may be the next word."""


_ATTACHED: Final = {"ruby": "EFKTWix", "perl": "CDFMVdimx"}
"""Those behind which there may be a value in the same word alone."""
_CODE: Final = {"node": "ep", "ruby": "e", "perl": "eE"}
"""Options of one letter that have a text run, where it is not `c`."""


class Program(NamedTuple):
    """What runs: a `name` for people, and the `arguments` behind it.

    `script` is the absolute path of what an interpreter runs and `module` the name, "" if it runs
    none; `is_code` says that it runs a text that stands in its command line.
    """

    name: str
    script: str
    module: str
    arguments: tuple[str, ...]
    is_code: bool = False


def program_of(process: Process) -> Program:
    """Name what a process runs, by what can be seen of it."""
    argv = process.argv
    kind = interpreter(process)
    if kind is None or not argv:
        name = os.path.basename(process.exe.removesuffix(" (deleted)")) or process.name
        return Program(_short(name), "", "", argv[1:])
    at = 1
    while at < len(argv):
        word = argv[at]
        if kind in _PYTHONS and word.startswith("-") and (module := _module(argv, at)) is not None:
            name, behind = module
            return Program(_short(name.removesuffix(".__main__")), "", name, argv[behind:])
        if word == "--":
            at += 1
            break
        if not word.startswith("-") or word == "-":
            break
        if _is_code(kind, word):
            return Program(kind, "", "", argv[at + 1 :], is_code=True)
        at += 2 if word[-1] in _WITH_VALUE.get(kind, "") and len(word) == 2 else 1
    if at >= len(argv) or argv[at] == "-":
        return Program(kind, "", "", argv[at + 1 :])
    script = os.path.normpath(os.path.join(process.cwd, argv[at]))
    return Program(_of_script(script), script, "", argv[at + 1 :])


def interpreter(process: Process) -> str | None:
    """Return the kind of interpreter that a process is, such as `python`; None if it is none."""
    for path in (process.exe, *process.argv[:1]):
        found = _INTERPRETERS.fullmatch(os.path.basename(path.removesuffix(" (deleted)")))
        if found is not None:
            return found[1]
    return None


def _module(argv: tuple[str, ...], at: int) -> tuple[str, int] | None:
    """Return the module that `-m` names, also as `-Im` or `-mNAME`, and what stands behind it."""
    flags, found, name = argv[at][1:].partition("m")
    if not found or argv[at].startswith("--") or set(flags) - set("bBdEhiIOPqRsSuvVx"):
        return None
    if name:
        return name, at + 1
    return (argv[at + 1], at + 2) if at + 1 < len(argv) else None


def _is_code(kind: str, word: str) -> bool:
    """Tell whether the program itself is in the words: `python -c`, `sh -ce`, `perl -E`, `node -p`.

    Letters may stand together, and the text right behind its letter; behind one with a value all is
    that value.
    """
    if word.startswith("--"):
        return word.partition("=")[0] in {"--eval", "--print"}
    for letter in word[1:]:
        if letter in _CODE.get(kind, "c"):
            return True
        if letter in _WITH_VALUE.get(kind, "") + _ATTACHED.get(kind, ""):
            return False
    return False


def _of_script(path: str) -> str:
    name = os.path.basename(path)
    if name == "__main__.py":
        name = os.path.basename(os.path.dirname(path))
    return _short(name.removesuffix(".py"))


def _short(name: str) -> str:
    return name[:64]
