"""Every tool behind a relay: the index sees the stored credential, and the tool never has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.servers.private_indexes_server import CDN, NONE, STORED
from support.systems.private_indexes import HomeInside, PrivateIndexes
from support.systems.real_names import needs_namespaces
from support.tools.relaying import WAYS, RelayStage
from support.tools.tool_home import ALICE, SECRET, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers.devpi_server import DevpiServer
    from support.tools.relaying import Way

pytestmark = [pytest.mark.tools, needs_namespaces, pytest.mark.xdist_group("private indexes")]

CAPABILITY = "tokenward-run-"


@pytest.fixture(scope="module")
def indexes(devpi: DevpiServer) -> Iterator[PrivateIndexes]:
    """A network in which there are private indexes, and nothing else."""
    with PrivateIndexes(ALICE, SECRET, devpi.socket) as it:
        yield it


@pytest.fixture
def stage(indexes: PrivateIndexes, devpi: DevpiServer) -> Iterator[RelayStage]:
    """A home in there."""
    with HomeInside(indexes) as home:
        yield RelayStage(home, indexes, devpi.renew())


@pytest.mark.parametrize("way", WAYS, ids=[way.title for way in WAYS])
def test_a_tool_works_and_never_holds_the_credential(way: Way, stage: RelayStage) -> None:
    stage.log_in_everywhere()
    result = way.run(stage)
    seen = stage.indexes.seen()
    assert result.returncode == 0, (said(result), seen)
    assert way.done(stage), said(result)
    assert set(way.wants) <= set(stage.asked()), seen
    assert {it.shown for it in seen if it.host != CDN} == {STORED}
    assert {it.shown for it in seen if it.host == CDN} <= {NONE}
    assert not any(it.leaks for it in seen)
    assert not any(it.status == 401 for it in seen)
    assert SECRET not in said(result)
    assert CAPABILITY not in said(result)
    assert not stage.leaks()
    assert not stage.holding(CAPABILITY)
    if way.lock:
        assert "127.0.0.1" not in (stage.project / way.lock).read_text()
