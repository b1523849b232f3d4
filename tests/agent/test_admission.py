"""One way into a vault: what is not admitted changes nothing, whoever sends it, and is said."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.agents.in_process import START, Engine
from support.macaroons import token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYPI, OTHER = "https://upload.pypi.org/legacy/", "https://index.example/"
GOOD = token_of("pypi.org")


WRONG = {
    "empty": "",
    "garbage": "garbage",
    "cut off": GOOD[:-1],
    "of testpypi": token_of("test.pypi.org"),
    "of another index": token_of("index.example"),
    "expired": token_of("pypi.org", "x", f"[0,{START},0]"),
    "expired, in quotes": f"'{token_of('pypi.org', 'x', '[0,1,0]')}'",
}


class Asked:
    """An agent that holds a good token for PyPI and one for another index."""

    def __init__(self, root: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.engine = runner.run(self._made(root))
        for service in (PYPI, OTHER):
            assert self.login(GOOD.encode(), service=service)["ok"]

    async def _made(self, root: Path) -> Engine:
        engine = Engine(root)
        await engine.make("disabled")
        return engine

    def login(self, body: bytes, **more: Any) -> dict[str, Any]:
        named = {"username": "__token__", "provider": "disabled", **more}
        return self._runner.run(self.engine.ask("login", body, **named))[0]

    def held(self, service: str) -> bytes:
        fetch = self.engine.ask("fetch", service=service, username="__token__", whole=True)
        return self._runner.run(fetch)[1]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    with asyncio.Runner() as runner:
        yield Asked(tmp_path, runner)


@pytest.mark.parametrize("named", [{"service": PYPI}, {"spelling": "https://pypi.org/simple"}])
@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("secret", WRONG.values(), ids=WRONG)
def test_a_good_token_of_pypi_stays_whatever_a_client_sends_for_it(
    asked: Asked, named: dict[str, str], memory: bool, secret: str
) -> None:
    way: dict[str, Any] = {"memory": True, "lifetime": 60} if memory else {}
    assert asked.login(secret.encode(), **named, **way)["code"] == "refused"
    assert asked.held(PYPI) == GOOD.encode()


def test_what_has_expired_replaces_nothing_at_any_index(asked: Asked) -> None:
    claims = base64.urlsafe_b64encode(b'{"exp":%d}' % START).rstrip(b"=")
    for over in (
        token_of("", "y", f"expires={START}", prefix="devpi-").encode(),
        b"eyJh." + claims + b".x",
    ):
        answer = asked.login(over, service=OTHER)
        assert (answer["code"], answer["message"]) == (
            "refused",
            "The token has expired, according to itself.",
        )
    assert asked.held(OTHER) == GOOD.encode()


def test_the_end_is_judged_by_the_clock_of_the_index_where_that_is_known(asked: Asked) -> None:
    soon = token_of("", "z", f"expires={START + 50}", prefix="devpi-").encode()
    asked.engine.derived_tokens.clocks.record(OTHER, START + 60)
    assert asked.login(soon, service=OTHER)["code"] == "refused"


def test_quotes_around_a_token_are_left_out_and_that_is_said(asked: Asked) -> None:
    other = token_of("pypi.org", "another")
    answer = asked.login(f' "{other}"\n'.encode(), service=PYPI)
    assert answer["notes"] == ["The blanks or quotes around the token were removed."]
    assert asked.held(PYPI) == other.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.sampled_from([PYPI, OTHER]),
    st.binary(max_size=80)
    | st.tuples(st.binary(max_size=3), st.binary(max_size=3)).map(
        lambda around: around[0] + token_of("pypi.org", "more").encode() + around[1]
    ),
)
def test_whatever_bytes_come_these_are_stored_or_a_sentence_is_said(
    asked: Asked, service: str, secret: bytes
) -> None:
    before = asked.held(service)
    answer = asked.login(secret, service=service)
    if answer["ok"]:
        assert asked.held(service) == secret or answer["notes"]
    else:
        assert answer["message"].endswith(".")
        assert asked.held(service) == before
