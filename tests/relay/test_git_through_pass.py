"""git's smart protocol behind a relay: `pass` lets it through, with git's own credential alone.

The host has an index below /team/, whose credential is stored, and a repository that git itself serves.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.servers.git_server import git_server
from support.servers.http_server import basic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.http_server import Loopback

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is no relay on this system"),
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

STORED, GITS = ("ana", "a-secret-of-the-index"), ("alice", "a-secret-of-git")
ALONE = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{
        f"GIT_{who}_{what}": "a@b.example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[Loopback]:
    """The host, with an empty repository that takes pushes, and the user who has logged in."""
    bare = tmp_path / "repo.git"
    for words in (
        ("init", "-q", "--bare", str(bare)),
        ("-C", str(bare), "config", "http.receivepack", "true"),
    ):
        subprocess.run(["git", *words], env={"PATH": "/usr/bin:/bin", **ALONE}, check=True)
    with git_server(tmp_path, *GITS, tls=True) as it:
        authority = home.path / "ca.pem"
        authority.write_bytes(it.certificate)
        settings = home.path / ".config/tokenward/config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(f'ca = "{authority}"\n[services.corp]\nurl = "{it.url}team/simple/"\n')
        home.log_in(f"{it.url}team/", STORED[1], username=STORED[0])
        home.environment |= ALONE
        yield it


def behind_relay(home: Home, script: str) -> CompletedProcess[str]:
    return home.run(
        PROGRAMS / "auth", "exec", "--read-only", "--index", "corp", "--", "sh", "-ec", script
    )


def test_git_fetches_and_pushes_with_its_own_credential_and_never_with_the_stored_one(
    home: Home, server: Loopback
) -> None:
    settings = home.path / ".config/tokenward/config.toml"
    settings.write_text(f'{settings.read_text()}pass = ["/repo.git/"]\n')
    url = server.url.replace("://", f"://{GITS[0]}:{GITS[1]}@")
    done = behind_relay(
        home,
        f"git clone -q {url}repo.git one; cd one; echo text > file; git add file; git commit -qm x\n"
        f"git push -q origin HEAD; cd ..; git clone -q {url}repo.git two; cat two/file",
    )
    assert (done.returncode, done.stdout) == (0, "text\n"), done
    asked = {(each.method, each.path) for each in server.requests}
    assert ("POST", "/repo.git/git-upload-pack") in asked
    assert ("POST", "/repo.git/git-receive-pack") in asked
    assert set(server.seen()) == {None, basic(*GITS)}


def test_without_it_nothing_is_sent_and_the_key_is_named(home: Home, server: Loopback) -> None:
    done = behind_relay(home, f"git clone -q {server.url}repo.git one")
    assert done.returncode != 0
    assert "`pass` what it may do by itself" in done.stderr
    assert server.requests == []
