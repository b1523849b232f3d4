"""No copy of what a command made, or of its variables, is in the agent's memory: root looks for it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.process import Agent, NotDone
from support.inspection.process_memory import BEFORE, copies, slices
from support.recipes import Maker
from support.systems.other_users import other_users
from tokenward_protocol.frames import make_frame
from tokenward_protocol.messages import make_request

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = other_users
URL = "https://index.example/team/"
BOTH: dict[str, Any] = {"service": URL, "username": "ana"}


@pytest.mark.parametrize("kind", BEFORE)
def test_what_a_command_made_has_no_copy_in_the_agent_whatever_it_does(
    tmp_path: Path, kind: str
) -> None:
    secret, variable, partial = (secrets.token_urlsafe(120) for _ in range(3))
    needles = [each for text in (secret, variable, partial) for each in slices(text.encode())]
    maker = Maker(tmp_path / "bin")
    maker.makes(3600, secret)
    with Agent(tmp_path, before=BEFORE[kind]) as agent:
        agent.create_vault()

        def none() -> bool:
            agent.ask("hello")  # what was sent before this is done
            return copies(agent.pid, needles) == 0

        passed = f"SESSION={variable}\0".encode()
        more: dict[str, Any] = {"recipe": True, "environment": len(passed), "provider": "disabled"}
        agent.ask("login", maker.recipe() + passed, **BOTH, **more)
        assert none()
        assert agent.fetch(URL).decode() == secret
        assert none()
        maker.prints(f'{{"token": "{partial}", "expires": "never"}}')  # in no format
        agent.ask("logout", **BOTH, refused=True)
        with pytest.raises(NotDone):
            agent.ask("fetch", service=URL, attended=True)
        assert none()
        agent.ask("refresh", secret.encode(), **BOTH)
        wire = agent.wire()
        wire.send(make_frame(make_request("refresh", 1, BOTH), secret.encode())[:-10])
        wire.close()
        assert none()
        agent.ask("lock")
        assert none()
        agent.ask("unlock")
        maker.makes(20, secret)  # too short to be handed out again
        assert agent.ask_whole("fetch", service=URL, attended=True)[1].decode() == secret
        agent.ask("logout", **BOTH)
        assert none()
