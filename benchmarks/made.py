"""A request for what a command made, while that is fresh, beside one for a stored password."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from figures import Row, interleaved, milliseconds, noise
from machine import CLIENT, awake, core
from served import FEW, served

from client import asking, checked, fresh_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "x" * 180
SERVICES = {"made": "https://made.example/simple/", "kept": "https://kept.example/simple/"}
_BLOCK = 50


def rows(blocks: int = 60) -> Iterator[Row]:
    """Yield the one figure."""
    with ExitStack() as stack:
        agent = stack.enter_context(served(FEW))
        program = agent.agent.directory.parent / "maker"
        text = json.dumps({"token": SECRET, "expires_in": 12 * 3600})
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(0o755)
        recipe = json.dumps({"command": [str(program)]}).encode()
        client = agent.client()
        client.ask("login", recipe, service=SERVICES["made"], username="ana", recipe=True)
        kept = {"service": SERVICES["kept"], "username": "ana", "provider": "disabled"}
        client.ask("login", SECRET.encode(), **kept)
        client.close()
        stack.enter_context(core(CLIENT))
        stack.enter_context(awake())
        questions = {name: asking(service) for name, service in SERVICES.items()}
        measures = {
            name: partial(fresh_seconds, agent.socket, question)
            for name, question in questions.items()
        }
        taken = interleaved(measures, blocks, _BLOCK)
        client = agent.client()
        for question in questions.values():
            checked(client.exchange(question))
        client.close()
        yield Row(
            "what a command made, while it is fresh",
            "fetch, median, above a stored password's",
            1.05,
            "x",
            median(taken["made"]) / median(taken["kept"]),
            aside=milliseconds(taken),
            spread=noise(taken["kept"]),
        )
