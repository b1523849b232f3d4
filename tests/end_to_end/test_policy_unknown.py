"""Who is not wholly known gets nothing by a name, and each rule that denies a program counts."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from support.policy import SECRET, TOOL, URL, lines, rules

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a peer is read in /proc")

DENIED = '[[policy]]\nprogram = "{}"\ndecide = "deny"\n'


@pytest.fixture
def stored(home: Home) -> Home:
    home.done("login", URL, "-u", "ana", "--password", "-", stdin=SECRET)
    return home


FORMS = [
    "bash -eo pipefail {0}",
    "bash --noprofile --norc -eo pipefail {0}",
    "bash -e -o pipefail {0}",
    "bash --rcfile /dev/null {0}",
    "bash --init-file /dev/null -x {0}",
    "bash -O extglob -- {0}",
    "bash +o history -eOo extglob pipefail {0}",
    "sh -euo noglob {0}",
    "env -S 'bash -eo pipefail' {0}",
    "env -i PATH=$PATH HOME=$HOME XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR bash -eo pipefail {0}",
    "nice -n 5 bash -eo pipefail {0}",
    "timeout 60 bash -eo pipefail {0}",
    "cd / && bash ~/deploy.sh",
    "bash deploy.sh",
    "bash < {0}",
    "bash -c '. ./deploy.sh; :'",
    "bash -c 'exec /bin/bash {0}'",
    "/lib64/ld-linux-x86-64.so.2 /bin/bash {0}",
    "bash -o nosuch {0}; bash --debugger -eo pipefail {0}",
]
"""Ways of running a script that GitHub Actions, editors, shebang lines and people have."""

SAME_NAME = {"bash < {0}"}
"""Those in which nothing says the name: what asks is known, as for every other text above it."""


@pytest.mark.parametrize("form", sorted({*FORMS} - SAME_NAME))
def test_what_a_denied_script_starts_is_denied_however_the_script_is_started(
    stored: Home, form: str
) -> None:
    script = stored.path / "deploy.sh"
    script.write_text(f"auth token {URL}; :\n")
    command = form.format(shlex.quote(str(script)))
    assert SECRET in stored.run("bash", "-c", f"{command}\n:").stdout
    for name in "deploy.sh", str(script):
        rules(stored, DENIED.format(name))
        assert SECRET not in stored.run("bash", "-c", f"{command}\n:").stdout


@pytest.mark.parametrize("form", ["-m pdb -c c {0}", "-m cProfile {0}", "-m trace --count {0}"])
def test_a_denied_script_gets_nothing_by_a_module_that_runs_it(stored: Home, form: str) -> None:
    script = stored.path / "deploy.py"
    script.write_text(f"import subprocess\nsubprocess.run(['auth', 'token', {URL!r}])\n")
    command = [sys.executable, *form.format(script).split()]
    assert SECRET in stored.run(*command).stdout
    rules(stored, DENIED.format("deploy"))
    assert SECRET not in stored.run(*command).stdout


TEXTS = ["{0} -c {1}", "{0} - <<< {1}", "{0} <(echo {1})", "{0} -I /dev/stdin <<< {1}"]


@pytest.mark.parametrize("form", TEXTS)
def test_a_text_is_allowed_by_no_name_and_denied_by_each(stored: Home, form: str) -> None:
    stored.done("setup", "keyring", "--yes")
    command = form.format(sys.executable, shlex.quote(TOOL.format(url=URL)))

    def gets() -> bool:
        return SECRET in stored.run("bash", "-c", f"{command}\n:").stdout

    assert gets()
    rules(stored, '[[policy]]\nprogram = "python"\ndecide = "allow"\n[[policy]]\ndecide = "deny"\n')
    assert not gets()
    rules(stored, DENIED.format("/opt/helper/bin/helper"))
    assert not gets()
    assert lines(stored)[-1]["who"]["unknown"] is True
    assert SECRET in stored.done("token", URL)  # which is known, though a text runs above it


def test_a_yes_for_a_text_holds_for_no_other(stored: Home) -> None:
    stored.done("setup", "keyring", "--yes")
    yes = stored.path / "my-askpass"
    yes.write_text('#!/bin/sh\necho >>"$HOME/asked"; echo yes\n')
    yes.chmod(0o700)
    rules(stored, f'pinentry = "{yes}"\n[[policy]]\ndecide = "ask"\nremember = "8h"\n')
    code = TOOL.format(url=URL)
    for _ in range(2):
        shown = stored.run(
            *("bash", "-c", '"$0" <(echo "$1")\n:', sys.executable, code), DISPLAY=":7"
        )
        assert SECRET in shown.stdout
    assert [line.get("consent") for line in lines(stored)[-2:]] == ["asked", "asked"]


READS = [
    ("bash", "-c", "PATH=.:$PATH; source deploy"),
    ("bash", "-c", "X=source; PATH=.:$PATH; $X deploy"),
    ("bash", "-c", 'PATH=.:$PATH; source "$1"', "_", "deploy"),
    (sys.executable, "-c", "import sys; sys.path.insert(0, '.'); import deploy"),
    (sys.executable, "-c", "import sys; sys.path.insert(0, '.'); __import__('deploy')"),
]


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("word", ["deny", "ask"])
def test_what_a_text_reads_is_asked_about_and_it_is_said_which_rule_may_be_meant(
    stored: Home, command: tuple[str, ...], word: str
) -> None:
    (stored.path / "deploy").write_text(f"auth token {URL}; :\n")
    (stored.path / "deploy.py").write_text(
        f"import subprocess\nsubprocess.run(['auth', 'token', {URL!r}])\n"
    )
    assert SECRET in stored.run(*command).stdout
    rules(stored, f'[[policy]]\nprogram = "deploy"\ndecide = "{word}"\n')
    result = stored.run(*command)
    assert SECRET not in result.stdout
    assert "not certain whether the rule in line 1 applies" in result.stderr


def test_what_a_text_starts_is_known_by_itself(stored: Home) -> None:
    program = stored.path / "starts-by-itself"  # a word of no command line above this test
    program.symlink_to("/bin/true")
    rules(stored, DENIED.format(program.name))
    command = f"{program.name} --deploy; {program.name} && auth token {URL}; :"
    path = f"{stored.path}:{stored.environment['PATH']}"
    assert SECRET in stored.run("bash", "-c", command, PATH=path).stdout
