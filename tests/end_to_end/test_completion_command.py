"""`auth completion` in each shell, and `auth setup shell`, as the pages tell to use them."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells of Unix")

SHOWN = {
    "bash": 'eval "$(auth completion bash)"; complete -p auth tokenward',
    "zsh": 'autoload -U compinit; compinit -D; eval "$(auth completion zsh)";'
    " print -l $_comps[auth] $_comps[tokenward]",
    "fish": 'auth completion fish | source; complete -C "auth sta" | string match -e status',
}
"""What tells in each shell that it completes the command."""


@pytest.mark.parametrize("shell", SHOWN)
def test_a_shell_takes_the_completion_that_is_printed(home: Home, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = home.run(shell, "-c", SHOWN[shell])
    assert done.returncode == 0, done.stderr
    expected = {"bash": "_auth", "zsh": "_auth\n_auth", "fish": "status"}[shell]
    assert expected in done.stdout


def test_a_shell_that_is_not_known_is_an_error(home: Home) -> None:
    assert "must be bash, fish or zsh" in home.refused("completion", "tcsh")


def test_setup_puts_pages_and_completions_where_they_are_looked_for(home: Home) -> None:
    home.done("setup", "shell")
    share = home.path / ".local/share"
    for name in (
        "man/man1/auth.1",
        "man/man8/tokenward-agent.8",
        "bash-completion/completions/auth",
        "bash-completion/completions/tokenward",
        "fish/vendor_completions.d/auth.fish",
        "zsh/site-functions/_auth",
    ):
        assert (share / name).read_text(), name
    home.done("setup", "--undo", "shell")
    assert not (share / "man").exists()


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man-db")
def test_man_finds_the_page_then(home: Home) -> None:
    home.done("setup", "shell")
    place = {"MANPATH": f"{home.path}/.local/share/man", "MANPAGER": "cat"}
    assert "auth uninstall" in home.run("man", "auth", **place).stdout
