"""`unlock = "prompt"`: a tool that finds a vault closed has the user asked for its passphrase."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.systems.x_display import MISSING, display
from support.waiting import until

if TYPE_CHECKING:
    import subprocess

    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no program for prompts there")

URL, OTHER, SECRET = "https://index.example/team/", "https://other.example/", "made-up-secret"
PASSPHRASE = "100% a passphrase"  # a pinentry escapes the sign
SCREEN = {"DISPLAY": ":7"}  # for programs that do not look at it


class Closed:
    """A home whose vault is closed, and a program that answers for the user."""

    def __init__(self, home: Home) -> None:
        self.home = home
        phrase = home.path / "phrase"
        phrase.write_text(PASSPHRASE)
        phrase.chmod(0o600)
        home.log_in(URL, SECRET)
        home.done("passphrase", "set", TOKENWARD_PASSPHRASE_FILE=str(phrase))
        home.done("agent", "restart")
        self.answers(PASSPHRASE)

    def settings(self, text: str) -> None:
        folder = self.home.path / ".config" / "tokenward"
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_text(text)

    def answers(self, passphrase: str, setting: str = 'unlock = "prompt"\n') -> None:
        """Have each prompt kept in a file, and answered with this passphrase."""
        program = self.home.path / "my-askpass"
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\0" "$1" >>"$HOME/prompts"\necho "{passphrase}"\n'
        )
        program.chmod(0o700)
        self.settings(f'pinentry = "{program}"\n{setting}')

    def prompts(self) -> list[str]:
        path = self.home.path / "prompts"
        return path.read_text().split("\0")[:-1] if path.exists() else []

    def tool(self, url: str = URL, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.home.run(PROGRAMS / "keyring", "get", url, "alice", **variables)

    def is_refused(self, url: str = URL, **variables: str) -> bool:
        done = self.tool(url, **variables)
        assert SECRET not in done.stdout + done.stderr
        return done.returncode != 0


@pytest.fixture
def closed(home: Home) -> Closed:
    return Closed(home)


def test_a_tool_is_answered_once_the_user_has_typed_the_passphrase(closed: Closed) -> None:
    done = closed.tool(**SCREEN)
    assert (done.returncode, done.stdout) == (0, f"{SECRET}\n"), done.stderr
    (prompt,) = closed.prompts()
    assert f"wants the credential for {URL}.\n" in prompt
    assert "tokenward vault" in prompt
    assert SECRET in closed.tool().stdout  # open from now on, with no display at all
    assert len(closed.prompts()) == 1
    lines = closed.home.answer("log")["lines"]
    assert [(line["event"], line.get("why")) for line in lines][-3:] == [
        ("unlock", "at a prompt"),
        ("fetch", None),
        ("fetch", None),
    ]
    assert PASSPHRASE not in json.dumps(lines)


def test_a_wrong_passphrase_may_be_typed_thrice_and_then_there_is_a_minute_of_rest(
    closed: Closed,
) -> None:
    closed.answers("wrong")
    assert closed.is_refused(**SCREEN)
    first, *others = closed.prompts()
    assert "does not open" not in first
    assert len(others) == 2
    assert all(text.startswith("That passphrase does not open the vault.\n") for text in others)
    closed.answers(PASSPHRASE)
    assert closed.is_refused(**SCREEN)
    assert len(closed.prompts()) == 3


def test_an_empty_answer_keeps_the_vault_closed(closed: Closed) -> None:
    closed.answers("")
    assert closed.is_refused(**SCREEN)
    assert closed.is_refused(**SCREEN)
    assert len(closed.prompts()) == 1


def test_the_user_is_not_asked_where_that_does_not_help_or_is_not_wanted(closed: Closed) -> None:
    assert closed.is_refused(), "there is no display"
    assert closed.is_refused(OTHER, **SCREEN), "nothing is stored there"
    closed.answers(PASSPHRASE, setting="")
    assert closed.is_refused(**SCREEN), "the setting is not on"
    closed.answers(PASSPHRASE, setting='unlock = "always"\n')
    assert closed.is_refused(**SCREEN)
    assert 'has an `unlock` that is not "prompt"' in closed.home.auth("doctor").stdout
    closed.answers(PASSPHRASE)
    closed.home.done("lock")
    assert closed.is_refused(**SCREEN), "`auth lock` means that nothing is to be opened"
    assert closed.prompts() == []


def test_neither_a_share_nor_a_run_has_the_user_asked(closed: Closed) -> None:
    home = closed.home
    assert home.auth("exec", "--index", URL, "--", "true", **SCREEN).returncode == 2
    assert home.auth("share", "--service", URL, "--whole", **SCREEN).returncode == 2
    assert closed.prompts() == []
    assert SECRET in closed.tool(**SCREEN).stdout
    share = str(home.answer("share", "--service", URL, "--whole")["socket"])
    assert SECRET in closed.tool(TOKENWARD_SOCK=share).stdout
    closed.answers(PASSPHRASE, setting='unlock = "prompt"\nlock-after-idle = "1s"\n')
    until(lambda: "Closed" in home.done("status"))
    assert closed.is_refused(TOKENWARD_SOCK=share, **SCREEN)
    assert len(closed.prompts()) == 1


@pytest.mark.skipif(bool(MISSING), reason=f"needs {MISSING}")
@pytest.mark.parametrize("name", ["pinentry-gtk-2", "pinentry-qt"])
def test_a_real_pinentry_asks_on_the_display_of_the_tool(
    closed: Closed, tmp_path: Path, name: str
) -> None:
    if not Path(f"/usr/bin/{name}").exists():
        pytest.skip(f"needs Debian's {name}")
    closed.settings(f'pinentry = "{name}"\nunlock = "prompt"\n')
    with display(tmp_path) as screen:
        got: list[subprocess.CompletedProcess[str]] = []
        waiting = threading.Thread(target=lambda: got.append(closed.tool(**screen.variables)))
        waiting.start()
        window = until(screen.windows)[0]
        screen.press(window, f"text:{PASSPHRASE}", "Return")
        waiting.join()
    assert (got[0].returncode, got[0].stdout) == (0, f"{SECRET}\n"), got[0].stderr
