"""Real tools with a credential that a command makes, at an index that refuses what has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.home import Home
from support.servers.ending_index import MAKES, EndingGate, passing_on
from support.servers.index_server import IndexServer
from support.servers.recording_proxy import RecordingProxy
from support.tools.installing import INSTALLING
from support.tools.publishing import PUBLISHING
from support.tools.stage import Stage
from support.tools.tool_home import ALICE, SECRET, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.tools.flow import Flow

pytestmark = pytest.mark.tools
TITLES = {"twine by URL", "uv publish by URL", "uv pip install", "pip by subprocess alone"}
FLOWS = [flow for flow in PUBLISHING + INSTALLING if flow.title in TITLES]


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A home whose user has a program that makes tokens of twenty seconds, too few to be handed out twice."""
    with (
        IndexServer({ALICE: SECRET}) as index,
        EndingGate(ALICE, passing_on(index.connect, (ALICE, SECRET))) as gate,
        RecordingProxy(gate.connect) as front,
        Home() as home,
    ):
        found = Stage(home, index, front)
        program = home.path / "bin" / "maker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(MAKES.format(folder=program.parent, seconds=20))
        program.chmod(0o755)
        home.done("login", found.url, "-u", ALICE, "--command", "--", str(program))
        yield found


@pytest.mark.parametrize("flow", [pytest.param(flow, id=flow.title) for flow in FLOWS])
def test_a_tool_gets_a_token_that_is_not_over(flow: Flow, stage: Stage) -> None:
    stage.set_up(*flow.setup)
    result = flow.run(stage)
    assert result.returncode == 0, said(result)
    assert flow.done(stage), said(result)
    runs = (stage.home.path / "bin" / "runs").read_text().splitlines()
    assert len(runs) >= 2  # that of the login was not handed out
    assert "token-" not in said(result)
