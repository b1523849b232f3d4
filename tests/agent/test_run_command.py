"""What `auth exec` is about to become counts as the tool that asks, by its own command line."""

from __future__ import annotations

import pytest

from tokenward_agent.peer.process import Process
from tokenward_agent.peer.requester import Requester
from tokenward_agent.peer.run_command import requester_of_run

AUTH = ("/venv/bin/python", "-I", "/home/ana/.local/bin/auth")


def requester(*words: str, whole: bool = True) -> Requester:
    shell = Process(7, 1, 70, 0, "bash", "/usr/bin/bash", "/home/ana", ("bash",), whole=True)
    auth = Process(8, 7, 80, 0, "auth", "/usr/bin/python3.11", "/home/ana", (*AUTH, *words), whole)
    return Requester.from_processes((auth, shell))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("exec --relay -- twine upload dist/a-1.0.tar.gz", "twine"),
        ("exec --relay --index corp --project mine --read-only twine upload", "twine"),
        ("exec -- /opt/bin/uv publish", "uv"),
        ("exec --index=corp -- python3 -m build", "build"),
        ("exec -- python3 /srv/deploy.py", "deploy"),
    ],
)
def test_the_command_is_the_tool_and_what_started_auth_stays_above_it(
    words: str, name: str
) -> None:
    found = requester_of_run(requester(*words.split()))
    tool = found.tool
    assert tool is not None
    assert tool.program.name == name
    assert [link.program.name for link in found.chain[1:]] == ["bash"]
    assert tool.process.pid == 8


@pytest.mark.parametrize("words", ["token pypi", "exec --unknown x -- twine upload", "exec"])
def test_without_a_known_command_auth_itself_is_the_tool(words: str) -> None:
    asked = requester(*words.split())
    assert requester_of_run(asked) == asked


def test_a_command_line_that_could_not_be_read_whole_says_nothing() -> None:
    asked = requester("exec", "--", "twine", "upload", whole=False)
    assert requester_of_run(asked) == asked
    assert requester_of_run(Requester(())) == Requester(())


def test_a_text_is_no_known_program() -> None:
    assert not requester_of_run(requester("exec", "--", "bash", "-c", "twine upload x")).is_known
