"""Every tool, from one login, unchanged; and where there is no credential, it ends as without us."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from support.tools.foreign_keyring import set_up_foreign_keyring
from support.tools.installing import INSTALLING
from support.tools.publishing import PUBLISHING
from support.tools.tool_home import ALICE, SECRET, WRONG, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from subprocess import CompletedProcess

    from support.tools.flow import Flow
    from support.tools.stage import Stage

    End = tuple[int, list[str]]
    Stages = Callable[[str], AbstractContextManager[Stage]]

pytestmark = pytest.mark.tools
FLOWS = PUBLISHING + INSTALLING
every_flow = pytest.mark.parametrize(
    "flow",
    [
        pytest.param(
            flow,
            id=flow.title,
            marks=pytest.mark.xdist_group("devpi" if flow.server == "devpi" else flow.title),
        )
        for flow in FLOWS
    ],
)
"""The tests of one flow are run by one process, which finds out once how it ends without us."""

PASSING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|.*[━⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏].*|.* \d+%$", re.MULTILINE)
"""Colours, and the lines of a progress bar, which differ from run to run."""

ACCIDENTAL = re.compile(r"/tmp/[\w-]+|(pdm-\w+)-\w+\.log|(?<=requirements-)\w+|\d+")
"""What is another in every run: temporary folders, log files, ports and times."""


@every_flow
def test_one_login_at_the_root_serves(flow: Flow, stage: Stage) -> None:
    stage.set_up(*flow.setup)
    stage.log_in(stage.url)
    result = flow.run(stage)
    assert result.returncode == 0, said(result)
    assert flow.done(stage), said(result)
    assert stage.let_in()
    assert SECRET not in said(result)
    assert not stage.leaks()


@every_flow
def test_with_nothing_stored_it_ends_as_without_us(
    flow: Flow, stage: Stage, without_us: Callable[[Flow, str | None], End]
) -> None:
    stage.set_up(*flow.setup)
    result = flow.run(stage)
    assert not flow.done(stage)
    assert end(result) == without_us(flow, None)


@every_flow
def test_where_no_agent_may_start_it_ends_as_without_us_but_for_a_line(
    flow: Flow, stage: Stage, without_us: Callable[[Flow, str | None], End]
) -> None:
    stage.set_up(*flow.setup)
    stage.log_in(stage.url)
    stage.home.done("agent", "stop")
    stage.home.environment["TOKENWARD_NO_AUTOSTART"] = "1"
    result = flow.run(stage)
    assert not flow.done(stage)
    assert after_one_line(result) == without_us(flow, None)
    assert stage.home.agent_pid() is None
    assert not stage.leaks()


@every_flow
def test_with_a_locked_agent_it_ends_as_without_us_but_for_a_line(
    flow: Flow, stage: Stage, without_us: Callable[[Flow, str | None], End]
) -> None:
    stage.set_up(*flow.setup)
    stage.log_in(stage.url)
    stage.home.done("lock")
    result = flow.run(stage)
    assert not flow.done(stage)
    assert after_one_line(result) == without_us(flow, None)
    assert not stage.leaks()


@every_flow
def test_with_a_wrong_secret_it_ends_as_without_us(
    flow: Flow, stage: Stage, without_us: Callable[[Flow, str | None], End]
) -> None:
    stage.set_up(*flow.setup)
    stage.log_in(stage.url, WRONG)
    result = flow.run(stage)
    assert not flow.done(stage)
    assert end(result) == without_us(flow, WRONG)
    assert not stage.let_in()
    assert WRONG not in said(result)
    assert not stage.leaks()


@pytest.fixture
def stage(flow: Flow, stages: Stages) -> Iterator[Stage]:
    """A stage before the kind of index that the flow is made for."""
    with stages(flow.server) as it:
        yield it


@pytest.fixture(scope="session")
def without_us(stages: Stages) -> Callable[[Flow, str | None], End]:
    """Find out how a flow ends with a keyring that is not ours, and has that secret or nothing.

    The exit status with nothing has to be that of a home in which there is no keyring at all.
    """

    @cache
    def run(flow: Flow, secret: str | None) -> End:
        with stages(flow.server) as stage:
            set_up_foreign_keyring(stage, ALICE, secret, flow.setup)
            result = flow.run(stage)
            assert result.returncode != 0, said(result)
        with stages(flow.server) as bare:
            assert secret or flow.run(bare).returncode == result.returncode
        return end(result)

    return run


OURS = re.compile(r"(?:(?<=\n)[<*| ]+)?tokenward: (?:The (?:file|keyring) vault|No agent of).*\n?")
"""What is said once; build shows what its own children say in its own way."""


def after_one_line(result: CompletedProcess[str]) -> End:
    """Return the end without what tokenward said, which is one line, or none where nobody asked."""
    status, lines = end(result)
    without = OURS.sub("", "\n".join(lines)).splitlines()
    assert len(OURS.findall(result.stdout + result.stderr)) <= 1, lines
    return status, [line for line in without if line.strip()]


def end(result: CompletedProcess[str]) -> End:
    """Return the exit status and the lines that were said, but for what is accidental in them."""
    lines = ACCIDENTAL.sub("*", PASSING.sub("", said(result))).splitlines()
    return result.returncode, [" ".join(line.split()) for line in lines if line.strip()]
