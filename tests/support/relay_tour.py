"""The tour of docs/RELAY-TOUR.md: a run that publishes, one that may not, and a build that looks
for secrets.

Played and recorded as tour.py does: on a real terminal, with devpi, twine, pip and the pinentry that
asks on terminals. The package that is built looks where malware looks.

    scripts/tour                # writes this page, too
    scripts/tour --print        # shows what it would write
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from support import CHECKOUT, tour
from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import files_with
from support.servers.devpi_server import DevpiServer
from support.servers.recording_proxy import RecordingProxy
from support.tools.environments import programs
from support.tools.wheels import write_named
from support.tour import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = CHECKOUT / "docs" / "RELAY-TOUR.md"
PAGES = [PAGE]

POLICY = """\
pinentry = "pinentry-tty"       # or -gnome3, -qt: a window

[[policy]]
purpose = "publish"
decide = "ask"
"""

BACKEND = """\
import os, pathlib, re, subprocess

def build_wheel(folder, config_settings=None, metadata_directory=None):
    loot = [f"{name} is {os.environ[name]}" for name in sorted(os.environ) if "PASSWORD" in name]
    for command in "auth token ours", "auth exec --env --index ours env":
        done = subprocess.run(command.split(), capture_output=True, text=True)
        loot.append(f"{command}: {(done.stdout or done.stderr).splitlines()[0]}")
    files = [path for path in pathlib.Path.home().rglob("*") if path.is_file()]
    tokens = [path for path in files if re.search(rb"devpi-[\\w-]{20}", path.read_bytes())]
    loot.append(f"{len(tokens)} of the files below {pathlib.Path.home()} hold a token")
    pathlib.Path.home().joinpath("loot").write_text("\\n".join(loot) + "\\n")
    raise SystemExit("no wheel today")
"""

BEGINNING = """\
# A tour behind the relay

Publish with a yes for one file, try to publish what a run may not, and build a package that looks for
secrets. `scripts/tour` ran all of this on a real terminal, with twine, pip and a devpi server that takes
tokens, and recorded the output; a test runs it again and compares. [RELAY.md](RELAY.md) has the rules.

The token is stored, as `auth login` does, and one rule has you asked about each publish:
"""
BEFORE_UPLOAD = """
## Publish

The prompt names what twine is about to send, as the relay read it in the upload itself. You type `a`:
"""
AFTER_UPLOAD = """
twine never had the token. Its password was a capability, which is worth nothing any more.

## What a run may not do

A run publishes the projects that you name, and no other. This one is refused before a byte reaches the index:
"""
BEFORE_BUILD = """
## A build that looks for secrets

`pip` runs the code of every package that it builds. This one takes along what it finds:
"""
BEFORE_LOOT = """
pip installs from `ours` in this run, and so does all that it starts; but there is nothing to take:
"""
BEFORE_END = """
The capability ended with the run. The audit log has what was published:
"""


def told() -> str:
    """Play the story, and return the page."""
    with (
        DevpiServer("alice", "a password of hers", "devpi-tokens") as server,
        Home() as home,
        RecordingProxy(server.connect) as front,
    ):
        url = f"{front.url}{server.renew()}/"
        _set_out(home, url)
        secret = server.token()
        home.log_in(url, secret, username="alice")
        screen = Screen(home)
        try:
            page = "".join(_chapters(screen, home))
        finally:
            screen.close()
        if not server.holds("greeting-1.0-py3-none-any.whl") or server.holds(
            "farewell-1.0-py3-none-any.whl"
        ):
            raise RuntimeError("the index does not have what the page tells")
        if files_with(home.path, secret):
            raise RuntimeError("a file holds the token")
        return tour.as_seen_by_alice(page, home, front)


def _set_out(home: Home, url: str) -> None:
    """Lay out what the user has: two projects, a name for the index, a rule, and a strange package."""
    own = home.path / ".local/bin"
    own.mkdir(parents=True)
    (own / "auth").symlink_to(PROGRAMS / "auth")
    home.environment["PATH"] = f"{own}:{programs('twine')}:{programs('pip')}:/usr/bin:/bin"
    home.environment["COLUMNS"] = "80"
    for name in ("greeting", "farewell"):
        folder = home.path / name / "dist"
        folder.mkdir(parents=True)
        write_named(folder, name)
    settings = home.path / ".config/tokenward/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'{POLICY}\n[services.ours]\nurl = "{url}"\n')
    strange = home.path / "strange"
    strange.mkdir()
    (strange / "backend.py").write_text(BACKEND)
    (strange / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "strange"\nversion = "1.0"\n'
    )


def _chapters(screen: Screen, home: Home) -> Iterator[str]:
    upload = "twine upload --disable-progress-bar"
    yield BEGINNING
    yield f"\n```toml\n# config.toml\n{POLICY}```\n"
    yield BEFORE_UPLOAD
    greeting = f"auth exec --index ours -- {upload} greeting/dist/*"
    yield screen.shows(greeting, answers=(("]? ", "a"),))
    yield AFTER_UPLOAD
    yield screen.shows(f"auth exec --index ours --project greeting -- {upload} farewell/dist/*")
    yield BEFORE_BUILD
    yield screen.shows("cat ~/strange/backend.py")
    yield BEFORE_LOOT
    build = "auth exec --index ours -- pip --quiet wheel --no-deps ~/strange 2>/dev/null"
    yield screen.shows(build, "cat loot")
    yield BEFORE_END
    yield screen.shows("auth log --published")


def likened(page: str) -> str:
    """Return a page without what differs from run to run: also the capability, and the wheel's digest."""
    page = re.sub(r"tokenward-run-[\w-]{43}", "CAPABILITY", page)
    return tour.likened(re.sub(r"SHA-256: [0-9a-f]{64}", "DIGEST", page))


if __name__ == "__main__":
    told_page = told()
    if "--print" in sys.argv:
        sys.stdout.write(told_page)
    else:
        PAGE.write_text(told_page)
