"""Which record answers: whatever is stored and asked, never one of another origin or user."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.agents.in_process import Engine, OfNoVault
from tokenward_agent.requests.naming import lookup_target
from tokenward_agent.store.lookup import Ambiguous, RecordIndex, find_account
from tokenward_agent.vault.record import Record
from tokenward_agent.wire.request import Request

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = [
    "a.example",
    "b.example",
    "a.example:8443",
    "localhost:8080",
    "localhost",
    "127.0.0.1:8080",
]
PATHS = ["", "team/", "team/deep/", "files/", "Team/"]
USERS = ["ana", "bob", "__token__"]


def _keys() -> list[str]:
    both = [f"{scheme}://{h}/{p}" for scheme in ("https", "http") for h in HOSTS for p in PATHS]
    return [key for key in both if key.startswith("https") or "example" not in key]


KEYS = _keys()
OPAQUE = ["a.example", "localhost:8080", "localhost", "a.example:8443", "pdm-pypi-x"]
STORED = st.lists(
    st.tuples(st.sampled_from(KEYS + OPAQUE), st.sampled_from(USERS)), unique=True, max_size=8
)


def record(service: str, username: str) -> Record:
    return Record(service, username, 1, None, None, None, b"")


def answer(indexes: list[RecordIndex], spelling: str, username: str | None) -> Record | None:
    asked = lookup_target(Request("fetch", 1, "", {"spelling": spelling}))
    holders = [(OfNoVault(), index) for index in indexes]
    found = find_account(holders, asked.places, username, asked.beside)
    return found[0].record if found else None


@given(STORED, STORED, st.sampled_from(KEYS + OPAQUE), st.sampled_from([None, *USERS]))
def test_no_entry_of_another_origin_or_user_ever_answers(
    one: list[tuple[str, str]],
    two: list[tuple[str, str]],
    asked: str,
    username: str | None,
) -> None:
    try:
        found = answer(
            [RecordIndex(record(*key) for key in each) for each in (one, two)], asked, username
        )
    except Ambiguous:
        assert username is None
        return
    if found is None:
        at = [s for s, u in {*one, *two} if u == username and s.startswith(f"{asked.rstrip('/')}/")]
        above = [s for s, u in {*one, *two} if u == username and "://" in s and asked.startswith(s)]
        assert not above
        assert len(at) != 1 or username is None or at[0] not in asked
        return
    assert username in {None, found.username}
    if found.service == asked or ("://" in asked and asked.startswith(found.service)):
        return
    # What lies elsewhere answers one who named the user, at that origin, and alone.
    assert username is not None
    there = urlsplit(found.service)
    origin = f"{there.scheme}://{there.netloc}/"
    assert asked.startswith(origin) or (asked == there.netloc and there.scheme == "http")
    rivals = [s for s, u in {*one, *two} if u == username and s.startswith(origin)]
    assert rivals == [found.service]


@given(STORED, STORED)
def test_what_was_dropped_answers_as_if_it_had_never_been_there(
    kept: list[tuple[str, str]], gone: list[tuple[str, str]]
) -> None:
    index = RecordIndex(record(*key) for key in kept)
    for key in set(gone) - set(kept):
        index.put(record(*key))
    for key in set(gone) - set(kept):
        index.drop(key)
    for spelling in KEYS + OPAQUE:
        for username in USERS:
            same = answer([RecordIndex(record(*key) for key in kept)], spelling, username)
            assert answer([index], spelling, username) == same


GROUP = "https://gitlab.example/api/v4/groups/7/-/packages/pypi/"
FILE = "https://gitlab.example/api/v4/projects/9/packages/pypi/files/ab/a-1.whl"


@pytest.mark.parametrize(
    ("spelling", "username", "there"),
    [
        (FILE, "alice", True),
        (FILE, None, False),
        (FILE, "bob", False),
        ("https://gitlab.example", "alice", True),
        ("https://gitlab.example:8443/", "alice", False),
        ("http://gitlab.example/", "alice", False),
        ("gitlab.example", "alice", False),
        ("gitlab.example:443", "alice", False),
    ],
)
async def test_files_beside_an_index_get_the_only_entry_of_the_user_who_was_named(
    spelling: str, username: str | None, there: bool, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(GROUP, b"made-up", username="alice")
    who: dict[str, str | int | bool] = {"spelling": spelling, "whole": True}
    who |= {} if username is None else {"username": username}
    answer, body = await engine.ask("fetch", b"", **who)
    assert (answer["ok"], body) == (there, b"made-up" if there else b"")
    await engine.login("https://gitlab.example/api/v4/groups/8/", b"other", username="alice")
    answer, _ = await engine.ask("fetch", b"", **who)
    assert not answer["ok"]


@pytest.mark.parametrize("stored", ["http", "https"])
async def test_a_host_and_port_are_answered_by_what_was_stored_for_http_alone(
    stored: str, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(f"{stored}://localhost:8080/team/", b"made-up", username="alice")
    answer, _ = await engine.ask("fetch", spelling="localhost:8080", username="alice")
    assert answer["ok"] is (stored == "http")
    answer, _ = await engine.ask("fetch", spelling="localhost:8080")
    assert answer["code"] == "not-found"


async def test_no_other_spelling_of_a_key_is_answered_from_beside_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(GROUP, b"made-up", username="alice")
    answer, _ = await engine.ask("fetch", service="https://gitlab.example", username="alice")
    assert answer["code"] == "bad-request"
