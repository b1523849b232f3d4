"""What an interpreter was told to run: held against what the real one then runs.

Each option is given alone and before each other one, and letters that nobody chose; beside the script
lie files of the name of every word, so that one which is taken for the script runs and says so. What
the tables name has to be what ran. Where they name nothing, they may: that is the safe side.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.waiting import PATIENCE
from tokenward_agent.peer.interpreters import SCRIPT, TEXT, UNKNOWN, kind_of, run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="starts scripts by their names")

SHELL = "echo ran:${0##*/}\n"
SAYS = {
    "python": 'import sys; print("ran:" + sys.argv[0].rpartition("/")[2])\n',
    "perl": '$0 =~ s{.*/}{}; print "ran:$0\\n";\n',
    "ruby": 'puts "ran:#{File.basename($0)}"\n',
    "node": 'console.log("ran:" + require("path").basename(process.argv[1]))\n',
    "bash": SHELL,
    "dash": SHELL,
    "zsh": SHELL,
}
COMMON = ["--", "-"]
SHELL_OPTIONS = [
    *("-e", "-eu", "-x", "-l", "-i", "-s", "-c", "-ec", "+e", "+o pipefail", "-o pipefail", "-n"),
    *("-eo pipefail", "-euo pipefail", "-oe pipefail", "-oo pipefail errexit", "-o", "-b", "-O"),
]
OPTIONS = {
    "bash": [
        *SHELL_OPTIONS,
        *("--rcfile word", "--init-file word", "-rcfile word", "--norc", "-norc", "--noprofile"),
        *("--login", "--posix", "--verbose", "--nosuch", "-O extglob", "+O extglob", "--version"),
        *("-eOo extglob pipefail", "--debugger", "--restricted", "--rcfile=word", "-D", "-r"),
    ],
    "dash": [*SHELL_OPTIONS, "--nosuch", "-p", "-V"],
    "zsh": [*SHELL_OPTIONS, "-oerrexit", "-f", "--emulate sh", "--no-rcs", "-eoerrexit"],
    "python": [
        *("-I", "-Xdev", "-X dev", "-W ignore", "-Wignore", "-IW ignore", "-c pass", "-Icpass"),
        *("-m word", "-Im word", "-mword", "-uB", "-x", "-i", "-Z", "-OO", "-ImX word"),
        *("--check-hash-based-pycs always", "--check-hash-based-pycs=always", "--nosuch", "--help"),
        *("-Xm word", "-Wm word", "-bb", "-h", "-J", "--version", "-sSE"),
    ],
    "perl": [
        *(
            "-w",
            "-I word",
            "-Iword",
            "-e 1",
            "-we 1",
            "-0777",
            "-l",
            "-n",
            "-pe 1",
            "-i.bak",
            "-ie",
        ),
        *(
            "-Mstrict",
            "-M word",
            "-mstrict",
            "-F: ",
            "-a",
            "-T",
            "-S",
            "-x",
            "-Xword",
            "-CS",
            "-C word",
        ),
        *("-d:word", "-V:word", "-E 1", "-0x41", "-l012", "-s", "-c", "-v", "--nosuch", "-W", "-f"),
    ],
    "ruby": [
        *("-w", "-I word", "-Iword", "-r set", "-rset", "-e 1", "-ne 1", "-C /", "-x", "-S", "-W0"),
        *(
            "-E utf-8",
            "--encoding utf-8",
            "--disable gems",
            "--disable-gems",
            "--nosuch",
            "-0",
            "-i.b",
        ),
    ],
    "node": [
        *("-r path", "--require path", "--require=path", "-e 1", "-p 1", "-pe 1", "--eval=1"),
        *(
            "--no-warnings",
            "--inspect-port=0",
            "--max-old-space-size=64",
            "-C word",
            "--title word",
        ),
        *(
            "--conditions=word",
            "--nosuch",
            "--test",
            "--check",
            "-i",
            "inspect",
            "--stack_size=900",
        ),
    ],
}
FOUND = {kind: found for kind in SAYS if (found := shutil.which(kind))} | {"python": sys.executable}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a folder for each language, where every word is a script."""
    made = tmp_path_factory.mktemp("words")
    words = {word for lines in OPTIONS.values() for line in lines for word in line.split()}
    for kind, text in SAYS.items():
        (made / kind).mkdir()
        for word in {*words, "script", "arg"}:
            if "/" not in word:
                (made / kind / word).write_text(text)
    return made


def ran(kind: str, folder: Path, words: Sequence[str]) -> str | None:
    """Return the name of the script that the real interpreter runs, None for none."""
    for name in "script", "arg":  # `perl -i` may have changed them
        (folder / kind / name).write_text(SAYS[kind])
    found = subprocess.run(
        [FOUND[kind], *words],
        cwd=folder / kind,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    ).stdout.decode(errors="replace")
    lines = [line for line in found.splitlines() if line.startswith("ran:")]
    return lines[-1].removeprefix("ran:") if lines else None


def agrees(kind: str, folder: Path, words: Sequence[str]) -> None:
    """Hold what the tables say of a command line against what comes of it."""
    run = run_of(kind, (kind, *words))
    if run.what == UNKNOWN:
        return
    name = ran(kind, folder, words)
    if run.what == SCRIPT:
        assert name in {None, Path(run.word).name}, words  # it may refuse to start
    elif run.what == TEXT:
        assert name is None or name not in {"script", "arg"}, words


@pytest.mark.parametrize("kind", sorted(FOUND))
def test_what_is_named_is_what_runs(kind: str, folder: Path) -> None:
    options = [*COMMON, *OPTIONS[kind]]
    pairs = itertools.product(options, options) if kind in {"bash", "dash", "perl"} else ()
    for before in [("",), *((option,) for option in options), *pairs]:
        agrees(kind, folder, [*" ".join(before).split(), "script", "arg"])


LETTERS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0", min_size=1, max_size=4)
WORDS = st.one_of(
    LETTERS.map("-{}".format),
    LETTERS.map("+{}".format),
    LETTERS.map("--{}".format),
    st.sampled_from(["-", "--", "word", "pipefail", "ignore", "extglob", "script"]),
)


@pytest.mark.parametrize("kind", sorted(FOUND))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=st.lists(WORDS, max_size=4))
def test_nor_is_another_script_named_whatever_the_options_are(
    kind: str, folder: Path, words: list[str]
) -> None:
    agrees(kind, folder, [*words, "script", "arg"])


@pytest.mark.parametrize("kind", sorted(SAYS))
@pytest.mark.parametrize("option", ["--nosuch", "-%", "--nosuch=x", "-\u00e9", "-\n", "---"])
def test_an_option_that_is_in_no_table_makes_the_name_unknown(kind: str, option: str) -> None:
    assert run_of(kind, (kind, option, "script")).what == UNKNOWN


@pytest.mark.parametrize(
    "path",
    [
        *("/usr/bin/python3.13t", "/usr/bin/python3-dbg", "python.exe", "/x/Python", "pypy3.10-c"),
        *("/usr/bin/perl5.36-x86_64-linux-gnu", "nodejs", "/bin/rbash", "ruby3.1", "/bin/zsh"),
    ],
)
def test_an_interpreter_is_told_by_its_file(path: str) -> None:
    assert kind_of(path) is not None


@pytest.mark.parametrize("path", ["/usr/bin/pythonic", "/usr/bin/bashful", "git-sh", "nodemon", ""])
def test_and_no_other_program_is(path: str) -> None:
    assert kind_of(path) is None
