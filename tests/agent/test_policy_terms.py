"""How narrow the policy has what goes out: asked of an agent, which nobody can have widen it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import START, Engine
from support.macaroons import caveats_of, token_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PYPI = "https://upload.pypi.org/legacy/"
TOKEN = token_of("pypi.org", "x")


def under(root: Path, rule: str, ask: Callable[[Engine], Any]) -> Any:
    """Return what comes of asking an agent that holds TOKEN under a policy of one rule."""

    async def main() -> Any:
        engine = Engine(root)
        await engine.make("disabled")
        await engine.login(PYPI, TOKEN.encode(), username="__token__")
        engine.config.write_text(f'[[policy]]\ndecide = "allow"\n{rule}\n')
        return await ask(engine)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("rule", "asked", "seconds"),
    [
        ('ttl = "15m"', {}, 900),
        ('ttl = "15m"', {"ttl": 60}, 60),
        ('ttl = "15m"', {"ttl": 86400}, 900),
        ('ttl = "8h"', {}, 28800),
        ("narrow = true", {"ttl": 86400}, 86400),
        ("narrow = false", {"ttl": 120}, 120),
    ],
    ids=str,
)
def test_a_child_lives_as_long_as_the_policy_says_and_no_longer(
    tmp_path: Path, rule: str, asked: dict[str, Any], seconds: int
) -> None:
    header, body = under(tmp_path, rule, lambda agent: agent.ask("fetch", service=PYPI, **asked))
    assert caveats_of(body.decode()) == [f"[0,{START + seconds},0]"]
    assert (header["narrowed"], header["expires"]) == (True, START + seconds)


def test_what_is_not_to_be_narrowed_goes_out_as_it_is(tmp_path: Path) -> None:
    header, body = under(tmp_path, "narrow = false", lambda agent: agent.ask("fetch", service=PYPI))
    assert body.decode() == TOKEN
    assert (header["narrowed"], header["expires"], header["rule"]) == (False, None, 1)


def test_narrowing_is_turned_off_for_one_service_and_no_other(tmp_path: Path) -> None:
    header, _ = under(
        tmp_path,
        'service = "testpypi"\nnarrow = false',
        lambda agent: agent.ask("fetch", service=PYPI),
    )
    assert header["narrowed"] is True


def test_what_is_sealed_is_narrowed_whatever_the_policy_says(tmp_path: Path) -> None:
    async def ask(agent: Engine) -> tuple[Any, bytes]:
        named = {"service": PYPI, "username": "__token__", "provider": "disabled"}
        await agent.ask("login", token_of("pypi.org", "y").encode(), sealed=True, **named)
        return await agent.ask("fetch", service=PYPI)

    header, body = under(tmp_path, "narrow = false", ask)
    assert header["narrowed"] is True
    assert caveats_of(body.decode()) == [f"[0,{START + 3600},0]"]
