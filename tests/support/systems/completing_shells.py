"""Shells with the completions of share/ loaded: what each of them offers for a line half typed.

bash and zsh are real interactive ones on a pseudo-terminal. They are asked for all matches at once,
put into the line, which is then printed word for word instead of run; nothing is read off a screen.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pexpect  # type: ignore[import-untyped]  # ships no types

from support import CHECKOUT
from support.auth_commands import PROGRAMS
from support.waiting import PATIENCE

SHARE = CHECKOUT / "share"
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
ALL_MATCHES = "\x1b*"  # insert-completions in readline; the zsh here has the same key for it
LINE_START = "\x01"
PROMPT = "ready> "
BASICS = f"""\
PS1='{PROMPT}'
words() {{ printf '<%s>' "$@"; echo '<end>'; }}
"""


class Typed:
    """A shell on a terminal. Every line that is typed there ends as one of words in brackets."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._shell = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(folder),
            env=_environment(folder) | {"TERM": "dumb", "ZDOTDIR": str(folder)},
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(50, 4000),
        )
        self._shell.delaybeforesend = None
        self._shell.expect_exact(PROMPT)

    def offers(self, line: str) -> set[str]:
        """Return what may stand in the place of the last word of `line`, or after its blank."""
        self._shell.send(f"{line}{ALL_MATCHES}{LINE_START}words \r")
        self._shell.expect_exact("<end>")
        words = re.findall("<(.*?)>", str(self._shell.before))
        return set(words[len(line.split()) - (not line.endswith(" ")) :]) - {""}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.close(force=True)


class Fish:
    """fish, which can be asked from outside."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        scripts = folder / ".local" / "share" / "fish" / "vendor_completions.d"
        shutil.copytree(SHARE / "fish" / "vendor_completions.d", scripts)

    def offers(self, line: str) -> set[str]:
        """Return what may stand in the place of the last word of `line`, or after its blank.

        fish lists all that has the word anywhere in it; only what begins with the word counts here.
        """
        done = subprocess.run(
            ["fish", "-c", f"complete -C {line!r}"],
            cwd=self._folder,
            env=_environment(self._folder),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        assert not done.stderr
        fitting = {offered.partition("\t")[0] for offered in done.stdout.splitlines()}
        return {each for each in fitting if each.startswith(line.rpartition(" ")[2])}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def bash(folder: Path) -> Typed:
    """bash as it is, without the package that most have for completions."""
    scripts = SHARE / "bash-completion" / "completions"
    return _bash(folder, f". {scripts}/auth\n. {scripts}/tokenward\n")


def bash_with_its_package(folder: Path) -> Typed:
    """bash, with the package, which loads a command's file when it is first asked."""
    local = folder / ".local" / "share" / "bash-completion"
    shutil.copytree(SHARE / "bash-completion", local)
    return _bash(folder, f". {BASH_COMPLETION}\n")


def zsh(folder: Path) -> Typed:
    """zsh, with its completion system."""
    (folder / ".zshrc").write_text(
        f"""{BASICS}
        unsetopt prompt_cr prompt_sp
        bindkey -e
        fpath=({SHARE}/zsh/site-functions $fpath)
        autoload -Uz compinit && compinit -u -D
        zle -C all-matches complete-word _generic
        bindkey '\\e*' all-matches
        zstyle ':completion:all-matches:*' completer _all_matches _complete
        zstyle ':completion:all-matches:*' insert true
        """
    )
    return Typed(folder, "zsh", "-i")


def _bash(folder: Path, setup: str) -> Typed:
    (folder / ".rc").write_text(BASICS + setup)
    return Typed(folder, "bash", "--noprofile", "--rcfile", f"{folder}/.rc", "-i")


def _environment(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": f"{PROGRAMS}:/usr/bin:/bin", "LANG": "C.UTF-8"}
