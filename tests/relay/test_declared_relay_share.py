"""A relay share that config.toml declares: the same as a typed one, and there after each start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.relay.shares import ACCOUNT, CURL, SECRET, SharedIndex, make_wheel
from support.servers.http_server import basic
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a relay is for Linux")


@pytest.fixture
def corp() -> Iterator[SharedIndex]:
    with SharedIndex() as found:
        yield found


def declare(corp: SharedIndex, more: str) -> str:
    """Declare a relay share for `corp`, and return its path once it is open."""
    path = corp.home.path / "declared.sock"
    text = f'[[share]]\nat = "{path}"\nservices = ["corp"]\nrelay = true\n{more}'
    settings = corp.settings.read_text().partition("[[share]]")[0]
    corp.settings.write_text(f"{settings}\n{text}")
    corp.home.answer("status")
    until(path.exists, lambda: "the share is not open")
    return str(path)


def test_it_serves_commands_as_a_typed_one_and_after_each_start_and_lock(
    corp: SharedIndex,
) -> None:
    path = declare(corp, 'projects = ["one"]\ntunnel = ["files.example"]\n')
    (share,) = corp.home.answer("status")["shares"]
    known = ("socket", "relay", "declared", "problem", "projects", "tunnels", "service")
    service = f"{corp.index.url}simple/"
    assert [share[key] for key in known] == [
        *(path, True, True, None, ["one"], ["files.example:443"], service)
    ]
    corp.home.refused("share", "--relay", "--service", "corp", "--at", path)  # its place is taken
    told = corp.home.auth("agent", "restart").stderr
    assert "is gone" not in told
    assert "one-1.0" in corp.near(path, *CURL, f"{corp.page}one/").stdout
    wheel = make_wheel(corp.home.path / "dist", "one", "1.0")
    upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", str(wheel))
    done = corp.near(path, *upload)
    assert done.returncode == 0, done.stdout + done.stderr
    assert corp.index.requests[-1].authorization == basic(*ACCOUNT)
    other = make_wheel(corp.home.path / "dist", "two", "1.0")
    refused = corp.near(path, str(PROGRAMS / "twine"), "upload", "--non-interactive", str(other))
    assert "this run may publish one, not two" in refused.stderr
    seen = corp.near(path, "sh", "-c", "env; cat $(dirname $SSL_CERT_FILE)/*").stdout
    assert "tokenward-run-" in seen
    assert SECRET not in seen
    assert "hands out no credential" in corp.home.refused("token", "corp", TOKENWARD_SOCK=path)
    corp.home.done("lock")
    assert not Path(path).exists()
    corp.home.done("unlock")
    assert corp.near(path, "true").returncode == 0


def test_its_runs_end_with_what_the_file_says_and_use_the_login_that_they_began_with(
    corp: SharedIndex,
) -> None:
    path = declare(corp, "read-only = true\n")
    corp.home.done("logout", corp.index.url)
    assert "No credential for corp is stored" in corp.near(path, "true").stderr
    corp.home.log_in(corp.index.url, SECRET, username="ana")
    get = " ".join((*CURL, f"{corp.page}one/"))
    stopped = f"{PROGRAMS}/auth logout {corp.index.url}"
    sock = f"env -u TOKENWARD_SOCK -u TOKENWARD_RELAY {stopped}"
    script = f"{get}; {sock} >&2; {get}"
    found = corp.near(path, "sh", "-c", script)
    assert found.stdout.count("</a>") == 1, found.stdout
    assert "tokenward: the share has ended" in found.stderr
    corp.home.log_in(corp.index.url, SECRET, username="ana")
    assert corp.near(path, "true").returncode == 0
    corp.settings.write_text(corp.settings.read_text().partition("[[share]]")[0])
    assert corp.near(path, "true").returncode == 2
    corp.home.answer("status")
    assert not Path(path).exists()


def test_the_policy_judges_it_and_a_project_says_nothing_of_it(corp: SharedIndex) -> None:
    path = declare(corp, 'projects = ["one"]\n')
    corp.policy('[[policy]]\npurpose = "install"\ndecide = "ask"\n')
    found = corp.near(path, *CURL, f"{corp.page}one/")
    assert "The policy denies what is shared here" in found.stdout + found.stderr
    assert corp.index.requests == []
