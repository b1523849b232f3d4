"""`tokenward.get`: what it answers, from where, and what it never shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tokenward
from support.agents.reference import served_here
from support.macaroons import caveats_of, token_of
from tokenward.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.agents.reference import ReferenceAgent

SERVICE = "https://index.example/legacy/"


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReferenceAgent]:
    with served_here(tmp_path, monkeypatch, {(SERVICE, "alice"): b"made-up-secret"}) as it:
        yield it


@pytest.mark.usefixtures("reference")
def test_get_returns_a_credential_whose_repr_has_no_secret() -> None:
    found = tokenward.get(SERVICE)
    assert found is not None
    assert (found.username, found.secret) == ("alice", "made-up-secret")
    assert "made-up" not in repr(found)
    assert tokenward.get(SERVICE, username="carol") is None


@pytest.mark.usefixtures("reference")
def test_get_asks_environment_agent_pypirc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".pypirc").write_text("[pypi]\nusername = __token__\npassword = from-the-file\n")
    found = tokenward.get("pypi")
    assert found is not None
    assert found.secret == "from-the-file"
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "from-the-variable")
    found = tokenward.get("pypi")
    assert found is not None
    assert found.secret == "from-the-variable"


def test_get_narrows_what_a_variable_holds_where_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, reference: ReferenceAgent
) -> None:
    monkeypatch.setenv("UV_PUBLISH_TOKEN", token_of("pypi.org"))
    whole = tokenward.get("pypi")
    assert whole is not None
    assert (whole.secret, whole.expires) == (token_of("pypi.org"), None)
    found = tokenward.get("pypi", project="My_Pkg", ttl=60)
    assert found is not None
    assert caveats_of(found.secret) == [f"[0,{found.expires},0]", '[1,["my-pkg"]]']


def test_get_refuses_what_it_cannot_narrow(
    monkeypatch: pytest.MonkeyPatch, reference: ReferenceAgent
) -> None:
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "a-token-of-an-unknown-kind")
    with pytest.raises(CommandError, match="cannot be attenuated"):
        tokenward.get("pypi", project="p")
    with pytest.raises(CommandError, match="cannot be attenuated"):
        tokenward.get("pypi", ttl=60)
    monkeypatch.setenv("UV_PUBLISH_TOKEN", token_of("pypi.org", "x", '[1,["other"]]'))
    with pytest.raises(CommandError, match="is for `other` alone, and not for `p"):
        tokenward.get("pypi", project="p")


def test_get_refuses_a_wish_that_cannot_be_meant() -> None:
    with pytest.raises(CommandError, match="A project's name"):
        tokenward.get("pypi", project="not a name")
    with pytest.raises(CommandError, match="at least a minute"):
        tokenward.get("pypi", ttl=59)
