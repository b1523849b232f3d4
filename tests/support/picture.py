"""The pictures of terminals in README.md and docs: a login and uploads, and a prompt before one.

Played as tour.py does, on a real terminal with devpi and twine, and drawn by rich as SVG. Nothing
in a picture is fetched from elsewhere: it uses the reader's own fixed-width font.

    scripts/tour                # writes these files, too
    scripts/tour --print        # shows what it would write
"""

from __future__ import annotations

import html
import re
import sys
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from support import CHECKOUT, relay_tour, tour
from support.home import Home
from support.servers.devpi_server import DevpiServer
from support.servers.recording_proxy import RecordingProxy
from support.tour import Screen

if TYPE_CHECKING:
    from pathlib import Path

FIRST, CONSENT = PAGES = [CHECKOUT / "docs" / f"{name}.svg" for name in ("first-upload", "consent")]
WIDTH = 80
UPLOAD = "twine upload --disable-progress-bar dist/*"


def told() -> dict[Path, str]:
    """Play the story, and return the pictures."""
    with (
        DevpiServer("alice", "a password of hers", "devpi-tokens") as server,
        Home() as home,
        RecordingProxy(server.connect) as front,
    ):
        tour.set_out(home, f"{front.url}{server.renew()}/")
        home.done("setup", "keyring")
        home.log_in("https://another.example/", "which makes the vault", username="alice")
        screen = Screen(home, TERM="xterm-256color", COLUMNS=str(WIDTH), NO_COLOR="")
        try:
            shown = _shown(screen, home, server.token())
        finally:
            screen.close()
        names = ("greeting", "farewell")
        if not all(server.holds(f"{name}-1.0-py3-none-any.whl") for name in names):
            raise RuntimeError("the index does not have what the pictures show")
        seen = {page: tour.as_seen_by_alice(text, home, front) for page, text in shown.items()}
        return {page: draw(text) for page, text in seen.items()}


def _shown(screen: Screen, home: Home, token: str) -> dict[Path, str]:
    """Return what the terminal shows, for each picture."""
    screen.types("cd greeting")
    first = screen.types("auth login ours -u alice", answers=(("(not shown): ", f"{token}\r"),))
    first += screen.types(f"{UPLOAD} -r ours", "auth log --service ours")
    screen.types("cd ../farewell")
    first += screen.types(f"auth exec --index ours -- {UPLOAD}", "auth log --published")
    (home.path / ".config/tokenward/config.toml").write_text(relay_tour.POLICY)
    asked = (("]? ", "a"),)
    return {
        FIRST: first,
        CONSENT: screen.types(f"auth exec --index ours -- {UPLOAD}", answers=asked),
    }


def draw(shown: str) -> str:
    """Return what a terminal showed as an SVG."""
    console = Console(width=WIDTH, record=True, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(shown.rstrip("\n")), soft_wrap=False)
    svg = console.export_svg(title="tokenward", theme=MONOKAI) + "\n"
    without = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return without.replace("Fira Code", "ui-monospace, Menlo, Consolas")


def likened(picture: str) -> str:
    """Return the lines of a picture, without what differs from run to run."""
    lines: dict[str, str] = {}
    for row, text in re.findall(r'<text [^>]*\by="([\d.]+)"[^>]*>([^<]*)</text>', picture):
        lines[row] = lines.get(row, "") + html.unescape(text).replace("\xa0", " ")
    return relay_tour.likened("\n".join(lines.values()))


if __name__ == "__main__":
    for path, drawn in told().items():
        if "--print" in sys.argv:
            sys.stdout.write(drawn)
        else:
            path.write_text(drawn)
