"""What a fetch is known to be for, of real programs and with disks that answer late or never."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.waiting import PATIENCE
from tokenward_agent.peer.evidence import NOTHING
from tokenward_agent.peer.peer import Peer
from tokenward_agent.requests.project_detection import MAX_AT_ONCE, ProjectDetector, ProjectFolders
from tokenward_agent.wire.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TOOL = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(open('address').read());"
    "sys.stdin.read()"
)


@contextmanager
def fetch_of(project: Path, tool: str, *arguments: str) -> Iterator[Request]:
    """Lend the request of a program of that name, started with these arguments in a folder."""
    (project / tool).write_text(TOOL)
    (project / "address").write_text(str(project / "sock"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(project / "sock"))
        listener.listen()
        listener.settimeout(PATIENCE)
        process = subprocess.Popen(
            [sys.executable, project / tool, *arguments], cwd=project, stdin=subprocess.PIPE
        )
        sock, _ = listener.accept()
        with sock:
            request = Request("fetch", 1, "", {})
            request.peer = Peer(sock)
            try:
                yield request
            finally:
                process.communicate(b"", 30)


def test_a_command_line_that_names_files_is_known_at_once(tmp_path: Path) -> None:
    with fetch_of(tmp_path, "twine", "upload", "dist/a_b-1.0.tar.gz") as request:
        assert ProjectDetector(ProjectFolders()).try_detect(request) == (("a-b",), "files")


def test_a_project_is_known_after_a_look_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a-b"\n')
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a_b-1.0.tar.gz").touch()
    detector = ProjectDetector(ProjectFolders())
    with fetch_of(tmp_path, "uv", "publish") as request:
        assert detector.try_detect(request) is None
        assert asyncio.run(detector.detect(request)) == (("a-b",), "pyproject")
        (tmp_path / "dist" / "c-1.0.tar.gz").touch()
        assert asyncio.run(detector.detect(request)) == NOTHING


def test_nobody_is_known_to_be_about_nothing() -> None:
    request = Request("fetch", 1, "", {})
    assert ProjectDetector(ProjectFolders()).try_detect(request) == NOTHING
    assert asyncio.run(ProjectDetector(ProjectFolders()).detect(request)) == NOTHING


class Stuck:
    """A disk that does not answer until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = 0

    def names(self, folder: str) -> tuple[str, ...] | None:
        self.asked += 1
        self.gate.wait()
        return ()

    def project(self, folder: str) -> str | None:
        return folder and None


def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    async def main(request: Request) -> None:
        many = await asyncio.gather(*(detector.detect(request) for _ in range(MAX_AT_ONCE + 3)))
        assert many == [NOTHING] * (MAX_AT_ONCE + 3)
        assert stuck.asked == MAX_AT_ONCE
        stuck.gate.set()
        while detector._looking:  # noqa: ASYNC110 - nothing tells that a thread has told
            await asyncio.sleep(0)
        assert await detector.detect(request) == NOTHING
        assert stuck.asked == MAX_AT_ONCE + 1

    stuck = Stuck()
    detector = ProjectDetector(stuck)
    with fetch_of(tmp_path, "twine", "upload", "dist/*") as request:
        asyncio.run(main(request))


def test_a_look_that_fails_says_nothing(tmp_path: Path) -> None:
    class Broken(Stuck):
        def names(self, folder: str) -> tuple[str, ...] | None:
            raise MemoryError(folder)

    with fetch_of(tmp_path, "twine", "upload", "dist/*") as request:
        assert asyncio.run(ProjectDetector(Broken()).detect(request)) == NOTHING
