"""Several tokens of one account at one index, each for other projects: which is kept, and which answers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.agents.in_process import Engine
from support.macaroons import caveats_of, token_of
from tokenward_agent.store.lookup import Ambiguous, Entry, StoredRecord, choose_entry
from tokenward_agent.vault.record import Record

PYPI = "https://upload.pypi.org/legacy/"
NAMES = ["mine", "other", "third"]


def token(identifier: str, *projects: str) -> str:
    """Return a token of PyPI for these projects, for all without any."""
    names = ",".join(f'"{each}"' for each in projects)
    return token_of("pypi.org", identifier, *([f"[1,[{names}]]"] if projects else []))


ALL, MINE, OTHER = token("all"), token("m", "mine"), token("o", "other")
BOTH = token("both", "mine", "other")


async def opened(root: Path) -> Engine:
    engine = Engine(root)
    await engine.make("disabled")
    return engine


async def log_in(engine: Engine, secret: str, **more: Any) -> dict[str, Any]:
    named = {"service": PYPI, "username": "__token__", "provider": "disabled", **more}
    header, _ = await engine.ask("login", secret.encode(), **named)
    assert header["ok"], header
    return header


async def fetch(engine: Engine, **more: Any) -> dict[str, Any]:
    header, body = await engine.ask("fetch", service=PYPI, **more)
    return {**header, "body": body.decode()}


async def entries(engine: Engine) -> list[Any]:
    """Return the projects of each entry, as a list shows them."""
    header, _ = await engine.ask("list")
    found: Any = header["entries"]
    return sorted((each["projects"] for each in found), key=str)


def version(engine: Engine) -> bytes:
    """Return the version of the vault's file."""
    return Path(engine.disabled.storage.path).read_bytes()[16:17]


async def test_tokens_for_different_projects_are_kept_beside_each_other(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    for secret in (MINE, OTHER, ALL, BOTH):
        assert (await log_in(engine, secret))["replaced"] is False
    assert await entries(engine) == sorted([None, ["mine"], ["mine", "other"], ["other"]], key=str)
    again = await log_in(engine, token("another", "mine"))
    assert (again["replaced"], again["projects"]) == (True, ["mine"])
    assert "one for other" in str(again["notes"])
    assert len(await entries(engine)) == 4
    whole = await fetch(engine, whole=True, entry="mine")
    assert whole["body"] == token("another", "mine")
    for entry, secret in (("", ALL), ("other", OTHER), ("other mine", BOTH)):
        assert (await fetch(engine, whole=True, entry=entry))["body"] == secret
    assert (await fetch(engine, whole=True, entry="third"))["code"] == "not-found"


async def test_the_narrowest_that_covers_the_projects_answers(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    for secret in (ALL, BOTH, MINE):
        await log_in(engine, secret)
    for asked, held in (("mine", "mine"), ("other", "both"), ("mine other", "both")):
        found = await fetch(engine, projects=asked)
        assert found["projects"] == asked.split()
        limits = caveats_of(found["body"])
        assert limits is not None
        assert (limits[0] == '[1,["mine"]]') is (held == "mine")
    assert (await fetch(engine, projects="third"))["projects"] == ["third"]
    assert (await fetch(engine))["projects"] is None  # the account-wide one
    assert (await fetch(engine, whole=True))["body"] == ALL


async def test_equally_narrow_ones_and_none_at_all_are_an_error_that_lists_them(
    tmp_path: Path,
) -> None:
    engine = await opened(tmp_path)
    await log_in(engine, BOTH)
    await log_in(engine, token("rival", "mine", "third"))
    for asked in ({}, {"projects": "mine"}, {"projects": "fourth"}, {"whole": True}):
        found = await fetch(engine, **asked)
        assert found["code"] == "ambiguous"
        assert sorted(found["entries"]) == [["mine", "other"], ["mine", "third"]]
        assert "one for mine and other" in found["message"]
        assert found["hint"] == "name the project with `--project`"
        assert found["body"] == ""
    assert (await fetch(engine, projects="third"))["projects"] == ["third"]
    for op in "describe", "logout":
        header, _ = await engine.ask(op, service=PYPI)
        assert header["code"] == "ambiguous"
    assert len(await entries(engine)) == 2


async def test_the_only_entry_answers_whatever_it_is_for(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    await log_in(engine, MINE)
    assert (await fetch(engine))["projects"] == ["mine"]
    assert (await fetch(engine, projects="other"))["code"] == "refused"  # said at once


async def test_a_logout_by_projects_removes_that_entry_alone(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    for secret in (MINE, ALL, OTHER):
        await log_in(engine, secret)
    header, _ = await engine.ask("logout", service=PYPI, entry="other")
    removed: Any = header["removed"]
    assert [each["projects"] for each in removed] == [["other"]]
    header, _ = await engine.ask("logout", service=PYPI, entry="other")
    assert header["code"] == "not-found"
    assert await entries(engine) == [None, ["mine"]]
    await engine.ask("logout", service=PYPI, entry="")
    assert await entries(engine) == [["mine"]]
    await engine.ask("logout", service=PYPI)
    assert await entries(engine) == []


@pytest.mark.parametrize("order", [(ALL, MINE), (MINE, ALL), (MINE, OTHER)])
async def test_a_vault_has_version_5_while_there_are_several_and_no_longer(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    engine = await opened(tmp_path)
    one, two = order
    await log_in(engine, one)
    assert version(engine) == b"4"
    await log_in(engine, two)
    assert version(engine) == b"5"
    again = Engine(tmp_path)
    await again.open("disabled")
    found = [await fetch(again, whole=True, entry=each) for each in ("", "mine", "other")]
    assert {each["body"] for each in found if each["ok"]} == {one, two}
    entry = " ".join(() if one is ALL else ("mine",))
    await engine.ask("logout", service=PYPI, entry=entry)
    assert version(engine) == b"4"
    assert (await fetch(engine, whole=True))["body"] == two


async def test_what_was_made_of_one_of_them_replaces_none(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    await log_in(engine, ALL)
    await log_in(engine, OTHER)
    for asked in ({"projects": "other"}, {"projects": "mine"}, {}):
        child = (await fetch(engine, **asked))["body"]
        assert (await log_in(engine, child))["kept"] is True
    assert await entries(engine) == [None, ["other"]]


async def test_both_vaults_hold_entries_of_one_account(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    await engine.make("keyring")
    await log_in(engine, MINE)
    assert (await log_in(engine, OTHER, provider="keyring"))["replaced"] is False
    assert await entries(engine) == [["mine"], ["other"]]
    assert (await fetch(engine, projects="other"))["projects"] == ["other"]
    moved = await log_in(engine, token("again", "mine"), provider="keyring")
    assert moved["replaced"] is True
    assert len(engine.disabled.records) == 0
    assert len(engine.keyring.records) == 2


async def test_a_vault_that_was_closed_keeps_what_is_for_other_projects(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    await engine.make("keyring")
    await log_in(engine, MINE)
    await log_in(engine, OTHER)
    engine.vaults.close(engine.disabled)
    newer = token("newer", "mine")
    await log_in(engine, newer, provider="keyring")
    await engine.open("disabled")
    assert await entries(engine) == [["mine"], ["other"]]
    assert (await fetch(engine, whole=True, entry="mine"))["body"] == newer
    engine.vaults.close(engine.disabled)
    await engine.ask("logout", service=PYPI, entry="mine", provider="keyring")
    await engine.open("disabled")
    assert await entries(engine) == [["other"]]


async def test_an_entry_of_a_closed_vault_is_gone_if_it_was_logged_out_meanwhile(
    tmp_path: Path,
) -> None:
    engine = await opened(tmp_path)
    await engine.make("keyring")
    await log_in(engine, MINE)
    await log_in(engine, OTHER)
    engine.clock.pass_by(5)
    engine.vaults.close(engine.disabled)
    await log_in(engine, token("newer", "other"), provider="keyring")
    await engine.ask("logout", service=PYPI, entry="other")
    await engine.open("disabled")
    assert await entries(engine) == [["mine"]]


async def test_a_new_data_key_leaves_each_entry_its_own_secret(tmp_path: Path) -> None:
    engine = await opened(tmp_path)
    for secret in (MINE, OTHER, ALL):
        await log_in(engine, secret)
    await engine.ask("passphrase", b"correct horse", action="set")
    for entry, secret in (("mine", MINE), ("other", OTHER), ("", ALL)):
        assert (await fetch(engine, whole=True, entry=entry))["body"] == secret


LIMITS = st.none() | st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(sorted).map(
    tuple
)


@given(
    st.lists(LIMITS, min_size=2, max_size=5, unique=True),
    st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
)
def test_no_entry_answers_for_a_project_that_it_is_not_for(
    held: list[tuple[str, ...] | None], wanted: tuple[str, ...]
) -> None:
    record = Record(PYPI, "__token__", 1, None, None, None, b"x" * 28)
    given_entries = [Entry(StoredRecord(record, None), each) for each in held]  # type: ignore[arg-type]
    chosen: tuple[str, ...] | str | None = "several"
    with contextlib.suppress(Ambiguous):
        chosen = choose_entry(given_entries, wanted).limits
    if isinstance(chosen, str):
        return
    if not wanted:
        assert chosen is None
        return
    assert chosen is None or set(wanted) <= set(chosen)
    for other in held:
        if other is not None and set(wanted) <= set(other):
            assert chosen is not None
            assert other == chosen or len(other) > len(chosen)
