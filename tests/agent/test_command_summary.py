"""What a credential was wanted for, in the words of the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.peer.process import Process
from tokenward_agent.peer.purpose import summarize_command
from tokenward_agent.peer.requester import Requester

PYTHON = "/usr/bin/python3"


def asker(*lines: str) -> Requester:
    """Return a chain of scripts that were started so, the asking one first."""
    return Requester.from_processes(
        tuple(
            Process(9 - at, 8 - at, 1, 0, "x", PYTHON, "/src", (PYTHON, *line.split()), whole=True)
            for at, line in enumerate(lines)
        )
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["/b/auth token pypi"], "printed"),
        (["/b/auth -v token"], "printed"),
        (["/b/auth --color never token pypi"], "printed"),
        (["-m tokenward token"], "printed"),
        (["/b/auth exec -- uv publish dist/x"], "exec: uv publish"),
        (["/b/auth exec --index corp --ttl=15m /opt/bin/uv -q publish"], "exec: uv publish"),
        (["/b/auth -q exec twine upload dist/x"], "exec: twine upload"),
        (["/b/auth exec -- mytool hunter2 --password hunter2"], "exec"),
        (["/b/auth exec -- env TOKEN=hunter2 publish"], "exec"),
        (["/b/auth exec --index u hunter2"], "exec"),
        (["/b/auth exec -- nox -s hunter2"], "exec: nox"),
        (["/b/auth exec"], "exec"),
        (["/b/auth exec --new hunter2 -- uv publish"], "exec"),
        (["/b/auth export b.tokenward"], "export"),
        (["/b/auth hunter2"], ""),
        (["/b/keyring get u ana", "/b/pip install x"], "keyring for pip"),
        (["-ISc code u ana", "/b/keyring get", "/b/uv publish"], "keyring for uv"),
        (["/b/git-credential-tokenward get", "/b/git"], "git-credential-tokenward for git"),
        (["/b/twine upload dist/x"], "publish"),
        (["/b/pip install x"], "install"),
        (["/b/whatever"], ""),
        ([], ""),
    ],
)
def test_it_is_said_as_whoever_reads_the_log_would(lines: list[str], words: str) -> None:
    assert summarize_command(asker(*lines)) == words


@given(st.lists(st.text("hunter2-=/ x", max_size=9), max_size=6))
def test_no_argument_is_said_but_a_known_program_and_command(words: list[str]) -> None:
    for line in ("auth", "auth exec --", "auth token", "twine"):
        said = summarize_command(asker(f"/b/{line} {' '.join(words)}"))
        assert said in {"", "printed", "exec"}
