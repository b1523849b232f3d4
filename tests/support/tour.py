"""The tour of docs/TOUR.md, played on a real terminal before a real index, and told as it happened.

A shell on a pty, a devpi server that takes tokens, twine from an environment of its own, and the
pinentry that asks on terminals. What the page shows is what stood on that terminal; only what would
be different at every reader's is spelled in another way: home, port, interpreter. `likened` takes
out what is different at every run.

    scripts/tour                # writes the page
    scripts/tour --print        # shows what it would write
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect  # type: ignore[import-untyped]  # ships no types

from support import CHECKOUT
from support.auth_commands import PROGRAMS
from support.home import Home
from support.servers.devpi_server import DevpiServer
from support.servers.recording_proxy import RecordingProxy
from support.tools.environments import programs
from support.tools.wheels import write_named
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = CHECKOUT / "docs" / "TOUR.md"
PINENTRY = Path("/usr/bin/pinentry-tty")
PROMPT = "$ "

POLICY = """\
pinentry = "pinentry-tty"       # or -gnome3, -qt: a window

[[policy]]
program = "twine"
purpose = "publish"
decide = "allow"
ttl = "15m"

[[policy]]
decide = "ask"
"""

STRANGER = """\
#!/usr/bin/env python3
import keyring

found = keyring.get_credential("{url}", None)
print("no luck" if found is None else "a credential!")
"""

BEGINNING = """\
# A tour

One evening with tokenward: log in once, publish two projects, see who had what, and say no to a
program that has no business there. `scripts/tour` did all of it on a real terminal, with twine
and a devpi server that takes tokens, and wrote down what was shown; a test does it again and
compares.
"""
BEFORE_SETUP = """
## Once per user

The tools have to find the agent. That is three small files, which `--undo` takes away:
"""
BEFORE_LOGIN = """
## Log in once

`ours` is a name in `~/.pypirc`, where no secret is. The token is typed, or pasted, unseen:
"""
BEFORE_UPLOADS = """
## Publish twice

twine is told neither a user nor a password:
"""
BEFORE_LOG = """
What did twine have? Not the token. Each upload had children of it, which are good for that project
alone and end within the hour. It is asked for twice, since twine wants a user name first:
"""
BEFORE_POLICY = """
## Somebody else

twine may publish, and its tokens need no hour; about everything else you want to be asked. The
agent reads these rules before its next answer:
"""
BEFORE_STRANGER = """
Then a program that you found somewhere asks as twine would, and you are shown who that is:
"""
AFTER_STRANGER = """
You typed `d`; no answer would have been a no as well. twine still publishes, unasked:
"""
BEFORE_END = """
## What remains

All of it is on record, in a file in which no change goes unnoticed:
"""
END = """
[TOOLS.md](TOOLS.md) has the other tools, [NARROWING.md](NARROWING.md) what a child is good for,
[POLICY.md](POLICY.md) the rules, and [AUDIT.md](AUDIT.md) what the record proves.
"""


class Screen:
    """A shell on a terminal of its own, whose user has this home."""

    def __init__(self, home: Home) -> None:
        self._child = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "--noediting", "-i"],
            env=home.environment | {"TERM": "xterm", "NO_COLOR": "1", "PS1": PROMPT},
            cwd=str(home.path),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 120),
        )
        self._child.delaybeforesend = None
        self._child.expect_exact(PROMPT)

    def shows(self, *commands: str, answers: tuple[tuple[str, str], ...] = ()) -> str:
        """Type commands, and after each of these questions its answer; return a block of the page."""
        shown = ""
        for command in commands:
            self._child.sendline(command)
            shown += PROMPT
            for question, answer in answers:
                self._child.expect_exact(question)
                shown += str(self._child.before) + question
                self._child.send(answer)
            self._child.expect_exact(f"\r\n{PROMPT}")
            shown += f"{self._child.before}\n"
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")
        return f"\n```console\n{re.sub(' +$', '', plain, flags=re.MULTILINE)}```\n"

    def close(self) -> None:
        self._child.close()


def told() -> str:
    """Play the story, and return the page."""
    with (
        DevpiServer("alice", "a password of hers", "devpi-tokens") as server,
        Home() as home,
        RecordingProxy(server.connect) as front,
    ):
        url = f"{front.url}{server.renew()}/"
        set_out(home, url)
        screen = Screen(home)
        try:
            page = "".join(_chapters(screen, home, server, url))
        finally:
            screen.close()
        for place, spelled in (
            (front.url.split("/")[2], "127.0.0.1:31415"),
            (str(Path(sys.executable).resolve()), "/usr/bin/python3"),
            (str(home.path), "/home/alice"),
        ):
            page = page.replace(place, spelled)
        return page


def set_out(home: Home, url: str) -> None:
    """Lay out what the user has: two projects, a name for the index, and a strange program."""
    own = home.path / ".local/bin"
    own.mkdir(parents=True)
    (own / "auth").symlink_to(PROGRAMS / "auth")
    home.environment["PATH"] = f"{own}:{programs('twine')}:/usr/bin:/bin"
    for name in ("greeting", "farewell"):
        folder = home.path / name / "dist"
        folder.mkdir(parents=True)
        write_named(folder, name)
    names = f"[distutils]\nindex-servers = ours\n\n[ours]\nrepository = {url}\n"
    (home.path / ".pypirc").write_text(names)
    stranger = home.path / "found-somewhere"
    stranger.write_text(STRANGER.format(url=url))
    stranger.chmod(0o700)
    (home.path / ".config/tokenward").mkdir()


def _chapters(screen: Screen, home: Home, server: DevpiServer, url: str) -> Iterator[str]:
    upload = "twine upload -r ours --disable-progress-bar dist/*"
    yield BEGINNING
    yield BEFORE_SETUP
    yield screen.shows("auth setup keyring")
    yield BEFORE_LOGIN
    typed = ("(not shown): ", f"{server.token()}\r"), ("a key file): ", "\r")
    yield screen.shows("auth login ours -u alice", answers=typed)
    yield BEFORE_UPLOADS
    yield screen.shows("cd ~/greeting", upload, "cd ~/farewell", upload)
    yield BEFORE_LOG
    yield screen.shows("cd", "auth log --service ours")
    yield BEFORE_POLICY
    (home.path / ".config/tokenward/config.toml").write_text(POLICY)
    yield f"\n```toml\n# config.toml\n{POLICY}```\n"
    yield BEFORE_STRANGER
    yield screen.shows("./found-somewhere", answers=(("]? ", "d"),))
    yield AFTER_STRANGER
    yield screen.shows("cd ~/greeting", upload)
    yield BEFORE_END
    yield screen.shows("auth log --service ours", "auth log --verify")
    yield END
    for project in ("greeting", "farewell"):
        if not server.holds(f"{project}-1.0-py3-none-any.whl"):
            raise RuntimeError(f"{project} did not arrive at {url}")
    if not all(_is_narrow(line) for line in _given(home)):
        raise RuntimeError("twine was given more than the page tells")


def _given(home: Home) -> list[dict[str, Any]]:
    """Return the lines of the log about what was handed out."""
    lines: list[dict[str, Any]] = home.log_lines()
    return [line for line in lines if line.get("decision") == "given"]


def _is_narrow(line: dict[str, Any]) -> bool:
    """Tell whether it is about a child for one project, known by its files."""
    return bool(line.get("narrowed")) and line.get("evidence") == "files"


def likened(page: str) -> str:
    """Return a page without what differs from run to run: times, the terminal, widths of columns."""
    page = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "THEN", page)
    page = re.sub(r"pts/\d+", "pts/N", page)
    page = re.sub(r"within \d+ seconds is", "in time is", page)
    return re.sub(" {2,}", "  ", page)


if __name__ == "__main__":
    told_page = told()
    if "--print" in sys.argv:
        sys.stdout.write(told_page)
    else:
        PAGE.write_text(told_page)
