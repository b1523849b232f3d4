"""Two lines of the log for each upload: one on the disk before the first byte, one behind the last."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from support.inspection.processes import is_running
from support.runs import Index, Publisher, folder_of_runs
from support.servers.http_server import Response
from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="relays exist on Linux alone")

FACTS = {"project", "version", "file", "size", "sha256", "service", "username", "run"}
BOTH = ("publish", "published")


def test_both_lines_say_what_was_published_where(publisher: Publisher) -> None:
    wheel = publisher.wheel()
    assert publisher.exec(publisher.twine(), "upload", wheel).stdout == "200 \n"
    begun, ended = publisher.lines(*BOTH)
    assert begun.keys() & ended.keys() >= FACTS
    assert {key: begun[key] for key in FACTS} == {key: ended[key] for key in FACTS}
    assert (begun["project"], begun["version"], begun["file"]) == (
        "mine",
        "1.0",
        "mine-1.0-py3-none-any.whl",
    )
    assert begun["service"] == f"{publisher.index.url}legacy/"
    assert (begun["decision"], ended["status"]) == ("given", "200")
    assert "No line was changed" in publisher.home.said("log", "--verify")


def test_the_first_line_is_on_the_disk_before_the_first_byte_is_sent(publisher: Publisher) -> None:
    publisher.index.go.clear()
    run = publisher.started(publisher.twine(), "upload", publisher.wheel())
    assert publisher.index.arrived.wait(60)
    (line,) = publisher.lines(*BOTH)
    assert line["event"] == "publish"
    assert publisher.home.log_lines("--published")[0]["event"] == "publish"
    assert "sending" in publisher.home.done("log", "--published")
    publisher.index.go.set()
    assert run.communicate()[0] == "200 \n"
    assert [line["event"] for line in publisher.lines(*BOTH)] == ["publish", "published"]


@pytest.mark.parametrize("what", ["a link", "a file"])
def test_nothing_is_sent_without_the_line(publisher: Publisher, what: str) -> None:
    folder = audit_folder(publisher.home)
    shutil.rmtree(folder)
    if what == "a link":
        folder.symlink_to("/nowhere")
    else:
        folder.write_text("")
    shown = publisher.exec(publisher.twine(), "upload", publisher.wheel())
    assert shown.stdout.startswith("400 tokenward: The audit log cannot be written")
    assert publisher.index.uploads == []


@pytest.mark.root("limits the size of another process' files")
def test_nothing_is_sent_on_a_full_disk(publisher: Publisher) -> None:
    import resource

    pid = publisher.home.agent_pid()
    assert pid is not None
    size = sum(path.stat().st_size for path in audit_folder(publisher.home).iterdir())
    tool = publisher.script(
        "twine",
        "import time\nopen('ready', 'w')\nwhile not os.path.exists('go'): time.sleep(.01)\n"
        "print(*upload(sys.argv[2], 'mine', '1.0'))",
    )
    run = publisher.started(tool, "upload", publisher.wheel())
    until((publisher.home.path / "ready").exists)
    size = sum(path.stat().st_size for path in audit_folder(publisher.home).iterdir())
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 40, size + 40))
    (publisher.home.path / "go").touch()
    shown, _ = run.communicate()
    assert shown.startswith("400 tokenward: The audit log cannot be written"), shown
    assert publisher.index.uploads == []


@pytest.mark.parametrize("status", [400, 403, 503])
def test_the_answer_of_the_index_is_in_the_log(home: Home, status: int) -> None:
    with Publisher(home, Index(lambda _request: Response(status))) as publisher:
        shown = publisher.exec(publisher.twine(), "upload", publisher.wheel()).stdout
        assert shown.startswith(f"{status} ")
        assert publisher.lines("published")[0]["status"] == str(status)


def test_an_index_that_breaks_off_leaves_it_unknown(home: Home) -> None:
    def break_off(_request: object) -> Response:
        raise ConnectionError

    with Publisher(home, Index(break_off)) as publisher:
        shown = publisher.exec(publisher.twine(), "upload", publisher.wheel()).stdout
        assert shown.startswith("502 tokenward: 127.0.0.1 cannot be reached")
        assert publisher.lines("published")[0]["status"] == "unknown"


def test_an_index_that_is_not_there_was_sent_nothing(home: Home) -> None:
    index = Index()
    with Publisher(home, index) as publisher:
        tool, wheel = publisher.twine(), publisher.wheel()
    shown = publisher.exec(tool, "upload", wheel).stdout
    assert "cannot be reached" in shown
    assert publisher.lines("published")[0]["status"] == "not-sent"


def test_a_command_that_is_killed_while_it_sends_leaves_it_unknown(publisher: Publisher) -> None:
    publisher.index.go.clear()
    run = publisher.started(publisher.twine(), "upload", publisher.wheel())
    assert publisher.index.arrived.wait(60)
    run.kill()
    until(lambda: publisher.lines("published"))
    (line,) = publisher.lines("published")
    assert line["status"] == "unknown"
    assert line["who"] == publisher.lines("publish")[0]["who"]
    run.communicate()


def test_a_command_that_ends_at_once_behind_its_upload_leaves_the_right_status(
    publisher: Publisher,
) -> None:
    tool = publisher.script("twine", "upload(sys.argv[2], 'mine', '1.0')\nos.kill(os.getpid(), 9)")
    wheel = publisher.wheel()
    for _ in range(5):
        publisher.exec(tool, "upload", wheel)
    until(lambda: len(publisher.lines("published")) == 5)
    assert [line["status"] for line in publisher.lines("published")] == ["200"] * 5


def test_the_next_agent_completes_the_log_of_one_that_was_killed(publisher: Publisher) -> None:
    publisher.index.go.clear()
    run = publisher.started(publisher.twine(), "upload", publisher.wheel())
    assert publisher.index.arrived.wait(60)
    pid = publisher.home.agent_pid()
    assert pid is not None
    assert list(folder_of_runs(publisher.home).iterdir())
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(pid))
    assert run.communicate()[0].startswith("0 ")  # the relay ends with its agent
    publisher.home.done("list")
    until(lambda: publisher.lines("published"))
    begun, ended = publisher.lines(*BOTH)
    assert ended["status"] == "unknown"
    assert {key: begun[key] for key in FACTS} == {key: ended[key] for key in FACTS}
    assert ended["chain"] != begun["chain"]
    assert not folder_of_runs(publisher.home).exists()
    publisher.home.done("agent", "restart")
    assert len(publisher.lines("published")) == 1  # once


def test_the_table_of_uploads_has_a_row_for_each(publisher: Publisher) -> None:
    tool = publisher.twine()
    publisher.exec(tool, "upload", publisher.wheel())
    publisher.rules('[[policy]]\npurpose = "publish"\ndecide = "deny"\n')
    publisher.exec(tool, "upload", publisher.wheel("other==2.0"))
    heading, first, second = publisher.home.done("log", "--published").splitlines()
    assert heading.split() == ["WHEN", "PROJECT", "VERSION", "FILE", "INDEX", "STATUS"]
    where = f"{publisher.index.url}legacy/"
    assert first.split()[2:] == ["mine", "1.0", "mine-1.0-py3-none-any.whl", where, "(ana)", "200"]
    assert second.split()[2:] == [
        *("other", "2.0", "other-2.0-py3-none-any.whl", where, "(ana)", "refused")
    ]
    events = [line["event"] for line in publisher.home.log_lines("--published")]
    assert events == ["publish", "published", "publish"]
    assert "takes none of the other options" in publisher.home.refused(
        "log", "--verify", "--published"
    )
    assert "cannot follow" in publisher.home.refused("log", "--follow", "--published")


def test_the_log_shows_grants_runs_and_uploads(publisher: Publisher) -> None:
    publisher.exec(publisher.twine(), "upload", publisher.wheel())
    shown = publisher.home.done("log")
    rows = [line.split()[2:] for line in shown.splitlines()]
    where = f"{publisher.index.url}legacy/"
    assert ["auth", "grant", "(install)", publisher.index.url, "(ana)", "done"] in rows
    assert ["auth", "grant", "(publish)", publisher.index.url, "(ana)", "mine", "done"] in rows
    assert ["auth", "run", "done"] in rows
    assert ["twine", "publish", where, "(ana)", "mine", "1.0", "given"] in rows
    assert ["twine", "published", where, "(ana)", "mine", "1.0", "200"] in rows


def audit_folder(home: Home) -> Path:
    """Return the folder of the log."""
    (found,) = (home.path / ".local/state/tokenward").glob("*/audit")
    return found
