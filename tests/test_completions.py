"""What shells offer for a line of `auth` that is half typed, asked in the shells themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.systems.completing_shells import (
    BASH_COMPLETION,
    Fish,
    Typed,
    bash,
    bash_with_its_package,
    zsh,
)
from tokenward import cli, sources
from tokenward.setup.parts import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SERVICES = {"pypi", "testpypi"}
FIRST = {name.partition(" ")[0] for name in cli.COMMANDS}
OFFERED = {
    "auth ": FIRST | {"help"},
    "auth help ": FIRST,
    "auth lo": {"login", "logout", "lock", "log"},
    "tokenward tok": {"token"},
    "auth agent st": {"start", "stop", "status"},
    "auth passphrase ": {"set", "remove"},
    "auth --format ": {"text", "json"},
    "auth --format json tok": {"token"},
    "auth -q --color ": {"auto", "always", "never"},
    "auth login ": SERVICES,
    "auth login pypi ": set(),
    "auth login --tr": {"--trusted-publishing"},
    "auth login pypi --se": {"--sealed"},
    "auth token https://h.example --des": {"--describe"},
    "auth login --username ": set(),
    "auth login --keyring-provider ": {"keyring", "subprocess", "disabled"},
    "auth login -u me --user": set(),
    "auth login --format=json --form": set(),
    "auth login --check --ch": set(),
    "auth login --format=js": {"json"},
    "auth share --service ": SERVICES,
    "auth share --service pypi --serv": set(),
    "auth share --uid 7 --ui": {"--uid"},
    "auth share --at no": {"notes.txt"},
    "auth share --at=no": {"notes.txt"},
    "auth import uv ": set(sources.NAMES),
    "auth setup ": set(TOOLS),
    "auth export no": {"notes.txt"},
    "auth export --passphrase-file no": {"notes.txt"},
    "auth trust pro": {"project"},
    "auth exec --in": {"--index"},
    "auth exec --form": set(),
    "auth exec --index ": SERVICES,
    "auth exec --index pypi -- cat --number no": {"notes.txt"},
    "auth exec setpri": {"setpriv"},
}
SHELLS = {
    "bash": (bash, True),
    "bash with its package": (bash_with_its_package, BASH_COMPLETION.exists()),
    "fish": (Fish, shutil.which("fish")),
    "zsh": (zsh, shutil.which("zsh")),
}

pytestmark = pytest.mark.xdist_group("completions")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(make, id=name, marks=pytest.mark.skipif(not there, reason=f"no {name} here"))
        for name, (make, there) in SHELLS.items()
    ],
)
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Typed | Fish]:
    """Each shell that is here, in a folder with a file and a directory."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "notes.txt").touch()
    (folder / "project").mkdir()
    (folder / "project.txt").touch()
    with request.param(folder) as it:
        yield it


@pytest.mark.parametrize("line", OFFERED)
def test_a_shell_offers_what_may_come_next(shell: Typed | Fish, line: str) -> None:
    typed = line.rpartition(" ")[2]
    option, equals, _ = typed.rpartition("=")
    offered = {word.removeprefix(option + equals).rstrip("/") for word in shell.offers(line)}
    offered.discard(typed)  # which stays where nothing fits
    if line.endswith(" "):  # zsh offers options where nothing else may come
        offered = {word for word in offered if not word.startswith("-")}
    assert offered == OFFERED[line]
