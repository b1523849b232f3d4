"""`auth token --check` before a real devpi-server, which says itself whom it takes us for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.tools.tool_home import ALICE, SECRET, WRONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from support.tools.stage import Stage

pytestmark = [pytest.mark.tools, pytest.mark.xdist_group("devpi")]


@pytest.mark.parametrize(
    ("secret", "state", "said"),
    [
        (SECRET, "accepted", f"accepts the credential of {ALICE}."),
        (WRONG, "refused", "does not accept"),
    ],
    ids=["right", "wrong"],
)
def test_a_devpi_server_says_whom_it_takes_us_for(
    stages: Callable[[str], AbstractContextManager[Stage]], secret: str, state: str, said: str
) -> None:
    with stages("devpi") as stage:
        url = f"{stage.url}{stage.index}/"
        stage.write(
            ".config/tokenward/config.toml", f'[services.ours]\nurl = "{url}"\nkind = "devpi"\n'
        )
        stage.log_in("ours", secret)
        found = json.loads(stage.home.auth("token", "ours", "--check", "--format", "json").stdout)
    assert found["check"] == state
    assert said in found["message"]
    assert [request.path for request in stage.front.requests] == [f"/{stage.index}/+api"]
