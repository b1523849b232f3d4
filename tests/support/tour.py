"""The tour of docs/TOUR.md, run on a real terminal with a real index, and recorded.

A shell on a pty, a devpi server that takes tokens, twine from an environment of its own, and the
pinentry that asks on terminals. The page shows the terminal's output, except that home, port and
interpreter, which differ for every reader, are replaced. `likened` takes out what differs at every
run.

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
PAGES = [PAGE]
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

Log in once, publish two projects, see which program got what, and deny an unknown program's request.
`scripts/tour` ran all of this on a real terminal, with twine and a devpi server that takes tokens, and
recorded the output; a test runs it again and compares.
"""
BEFORE_START = """
## The first look

`auth` alone says where you stand:
"""
BEFORE_SETUP = """
## Once per user

`auth setup` writes three small files, by which the tools find the agent. `--undo` removes them:
"""
BEFORE_LOGIN = """
## Log in once

`ours` is a name in `~/.pypirc`, without a secret. You type or paste the token; it is not shown. Then the
index is asked whether it accepts it:
"""
BEFORE_GLANCE = """
Two commands show what there is now:
"""
BEFORE_UPLOADS = """
## Publish twice

twine needs no user name and no password:
"""
BEFORE_LOG = """
twine did not get the token. Each upload got attenuated tokens, which are good for that project alone and
expire within the hour. There are two requests for each, since twine asks for the user name first:
"""
BEFORE_POLICY = """
## An unknown program

These rules let twine publish, with tokens for 15 minutes, and ask you about everything else. The agent
reads them before its next answer:
"""
BEFORE_STRANGER = """
Then a program that you downloaded asks as twine would, and the agent shows you what it is:
"""
AFTER_STRANGER = """
You typed `d`; no answer would have denied, too. twine still publishes, without a prompt:
"""
BEFORE_END = """
## What remains

All of it is in the audit log, which is tamper-evident:
"""
END = """
Read on: [TOOLS.md](TOOLS.md) about other tools, [NARROWING.md](NARROWING.md) about attenuated tokens,
[POLICY.md](POLICY.md) about the rules, and [AUDIT.md](AUDIT.md) about what the log proves.
"""


class Screen:
    """A shell on a terminal of its own, whose user has this home; `inside` goes before its command."""

    def __init__(self, home: Home, inside: tuple[str, ...] = (), **variables: str) -> None:
        command = [*inside, "bash", "--norc", "--noprofile", "--noediting", "-i"]
        self._child = pexpect.spawn(
            command[0],
            command[1:],
            env=home.environment | {"TERM": "xterm", "NO_COLOR": "1", "PS1": PROMPT} | variables,
            cwd=str(home.path),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 80),
        )
        self._child.delaybeforesend = None
        self._child.expect_exact(PROMPT)

    def shows(self, *commands: str, answers: tuple[tuple[str, str], ...] = ()) -> str:
        """Do as `types`; return a block of the page, without colours."""
        shown = self.types(*commands, answers=answers)
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
        return f"\n```console\n{re.sub(' +$', '', plain, flags=re.MULTILINE)}```\n"

    def types(self, *commands: str, answers: tuple[tuple[str, str], ...] = ()) -> str:
        """Type commands, and after each of these questions its answer; return what the terminal got."""
        shown = ""
        for command in commands:
            self._child.sendline(command)
            shown += PROMPT
            for question, answer in answers:
                self._child.expect_exact(question)
                shown += str(self._child.before) + question
                self._child.send(answer)
            # After a progress bar the cursor is shown again first.
            self._child.expect(rf"\r\n(?:\x1b\[\?25h)?{re.escape(PROMPT)}")
            shown += f"{self._child.before}\n"
        return shown.replace("\r", "")

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
        return as_seen_by_alice(page, home, front)


def as_seen_by_alice(shown: str, home: Home, front: RecordingProxy) -> str:
    """Return a text with the places of this run as they would be on the machine of a reader."""
    for place, spelled in (
        (front.url.split("/")[2], "127.0.0.1:31415"),
        (str(programs("twine")), "/home/alice/.local/bin"),
        (str(Path(sys.executable).resolve()), "/usr/bin/python3"),
        (str(home.path), "/home/alice"),
    ):
        shown = shown.replace(place, spelled)
    return shown


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
    yield BEFORE_START
    yield screen.shows("auth")
    yield BEFORE_SETUP
    yield screen.shows("auth setup keyring")
    yield BEFORE_LOGIN
    typed = ("(not shown): ", f"{server.token()}\r"), ("a key file): ", "\r")
    yield screen.shows("auth login ours -u alice", answers=typed)
    yield BEFORE_GLANCE
    yield screen.shows("auth status", "auth list")
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
    page = re.sub(r"\b\d\d:\d\d(:\d\d)?\b", "THEN", page)
    page = re.sub(r"^(Today|Yesterday|THEN)$", "DAY", page, flags=re.MULTILINE)
    page = re.sub(r"pts/\d+", "pts/N", page)
    page = re.sub(r"pid \d+", "pid N", page)
    page = re.sub(r"^(Asking|Making|Opening) .*\.\.\.\n", "", page, flags=re.MULTILINE)
    page = re.sub(r"\n {2,}(?=\S)", " ", page)  # where a line is broken depends on the machine
    page = re.sub(r"within \d+ seconds is", "in time is", page)
    return re.sub(" {2,}", "  ", page)


if __name__ == "__main__":
    told_page = told()
    if "--print" in sys.argv:
        sys.stdout.write(told_page)
    else:
        PAGE.write_text(told_page)
