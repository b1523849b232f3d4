"""What is wrong with a vault or its folder: each command says it in the same words, with what helps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.home import Home

URL = "https://a.example/"
UNSEEN = "no vault is open.\n         fix: `auth unlock`"
"""Where `auth doctor` says that the log could not be verified."""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")


class Wrong(NamedTuple):
    spoil: Callable[[Path], object]
    sentence: str
    hint: str


def cut_off(vault: Path) -> None:
    vault.write_bytes(vault.read_bytes()[:40])


WRONG = {
    "an open folder": Wrong(
        lambda vault: vault.parent.chmod(0o755),
        "{folder} is open to other users (mode 755).",
        "`chmod 700 {folder}`",
    ),
    "an open vault": Wrong(
        lambda vault: vault.chmod(0o640),
        "{vault} is open to other users (mode 640).",
        "`chmod 600 {vault}`",
    ),
    "a damaged vault": Wrong(
        cut_off, "{vault} cannot be read: it was cut off", "`auth restore --previous"
    ),
    "a lost vault": Wrong(
        lambda vault: vault.unlink(), "{vault} is missing", "`auth restore --previous"
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_every_command_has_the_words_of_the_others(what: str, home: Home) -> None:
    home.log_in(URL, "secret")
    home.log_in("https://b.example/", "x")  # so that there is a generation before
    home.done("agent", "stop")
    vault = home.path / ".local/share/tokenward/disabled.vault"
    WRONG[what].spoil(vault)
    names = {"folder": vault.parent, "vault": vault}
    sentence, hint = (it.format(**names) for it in WRONG[what][1:])
    for command in (("token", URL), ("unlock",), ("logout", URL), ("list",), ("doctor",)):
        done = home.auth(*command)
        said = (done.stdout + done.stderr).replace(UNSEEN, "")
        assert sentence.rstrip(".") in said, (command, said)
        assert hint in said, (command, said)
        assert "auth unlock`" not in said, (command, said)
        assert "`keyring` " not in said.replace("`keyring` program", ""), (command, said)
        if WRONG[what].hint != "`auth restore --previous":
            assert "auth restore" not in said, (command, said)
        assert said.count("Traceback") == 0


def test_the_words_for_what_is_only_closed_stay(home: Home) -> None:
    home.log_in(URL, "secret")
    home.done("lock")
    assert "hint: `auth unlock`" in home.refused("token", URL)
    assert "hint: `auth unlock`" in home.said("list")
