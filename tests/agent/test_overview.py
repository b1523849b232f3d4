"""What is listed: every page comes, and no answer is larger than a frame."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.agents.in_process import Engine, OfNoVault
from tokenward_agent.requests.overview import page_of_entries
from tokenward_agent.store.lookup import (
    Ambiguous,
    RecordIndex,
    StoredRecord,
    candidates,
    find_account,
)
from tokenward_agent.vault.record import AdoptedSource, Lifetime, Record
from tokenward_protocol.frames import make_frame
from tokenward_protocol.packing import pack

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_agent.vault.vault import Vault

URL = "https://index.example/team/"


def record(service: str, username: str) -> Record:
    end = 1 << 52
    return Record(
        service,
        username,
        end,
        end,
        Lifetime(end, "b" * 64, end),
        AdoptedSource("keyring", "x"),
        None,
    )


def pages(held: list[StoredRecord]) -> list[Any]:
    """Collect all pages, each held against the size of a frame."""
    got: list[Any] = []
    after: int | None = 0
    while after is not None:
        entries, following = page_of_entries(held, after)
        closed: list[Any] = ["keyring", "disabled"]
        answer: dict[str, Any] = {
            "id": (1 << 63) - 1,
            "ok": True,
            "entries": entries,
            "next": following,
        }
        make_frame(pack({**answer, "closed": closed}))
        assert following is None or following == after + len(entries)
        got += entries
        after = following
    return got


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Engine(tmp_path).keyring


def test_ten_thousand_entries_come_in_pages_that_fit_a_frame(vault: Vault) -> None:
    held = [
        StoredRecord(record(f"https://{n}.example/simple/", "__token__"), vault)
        for n in range(10_000)
    ]
    got = pages(held)
    assert len({entry["service"] for entry in got}) == len(got) == 10_000


def test_entries_with_the_longest_names_come_too(vault: Vault) -> None:
    long = [
        StoredRecord(record(f"opaque {n} ".ljust(2048, "x"), "é" * 512), vault) for n in range(100)
    ]
    assert len(pages(long)) == 100


def test_past_the_last_entry_there_is_nothing_and_no_next_page(vault: Vault) -> None:
    held = [StoredRecord(record(URL, "ana"), vault)]
    assert page_of_entries(held, 1) == ([], None)
    assert page_of_entries(held, (1 << 63) - 1) == ([], None)
    assert page_of_entries([], 0) == ([], None)


async def test_an_answer_that_lists_many_accounts_fits_a_frame(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    service = "opaque service ".ljust(2048, "x")
    for number in range(70):
        await engine.login(service, b"x", username=f"user {number} ".ljust(1024, "x"))
    header, _ = await engine.ask("fetch", service=service)
    make_frame(pack(header))
    assert header["code"] == "ambiguous"
    usernames: Any = header["usernames"]
    assert 10 < len(usernames) <= 70
    header, _ = await engine.ask("logout", service=service)
    make_frame(pack(header))
    assert header["code"] == "ambiguous"
    header, _ = await engine.ask("logout", service=service, all=True)
    make_frame(pack(header))
    removed: Any = header["removed"]
    assert header["count"] == 70
    assert 10 < len(removed) <= 70


# The rule of the lookup against a model that is nothing but the rule.

PATHS = st.lists(st.sampled_from(["a", "b", "simple"]), max_size=3).map(
    lambda parts: "/".join(["", *parts, ""]).replace("//", "/")
)
SERVICES = st.one_of(
    st.builds(
        lambda host, path: f"https://{host}{path}",
        st.sampled_from(["index.example", "index.example:8443", "other.example"]),
        PATHS,
    ),
    st.sampled_from(["index.example", "index.example:8443", "a name"]),
)
USERS = st.sampled_from(["__token__", "ana", "bob", ""])


def model(held: list[Record], asked: str, username: str | None) -> Record | str | None:
    competing = [
        each
        for each in held
        if (each.service == asked or ("://" in each.service and asked.startswith(each.service)))
        and username in (None, each.username)
    ]
    if not competing:
        return None
    longest = max(len(each.service) for each in competing)
    best = [each for each in competing if len(each.service) == longest]
    tokens = [each for each in best if each.username == "__token__"]
    if tokens and username is None:
        return tokens[0]
    return best[0] if len(best) == 1 else "ambiguous"


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.tuples(SERVICES, USERS), st.booleans(), max_size=12),
    SERVICES,
    st.one_of(st.none(), USERS),
)
def test_the_lookup_is_the_rule_and_nothing_else(
    held: dict[tuple[str, str], bool], asked: str, username: str | None
) -> None:
    records = {key: record(*key) for key in held}
    indexes = [
        RecordIndex(records[key] for key, first in held.items() if first is which)
        for which in (True, False)
    ]
    answer: Record | str | None = "ambiguous"
    with contextlib.suppress(Ambiguous):
        found = find_account([(OfNoVault(), it) for it in indexes], candidates(asked), username)
        answer = found[0].record if found else None
    assert answer == model(list(records.values()), asked, username)


@given(st.lists(st.tuples(st.booleans(), SERVICES, USERS), max_size=30))
def test_an_index_holds_what_a_dictionary_would(steps: list[tuple[bool, str, str]]) -> None:
    index = RecordIndex()
    held: dict[tuple[str, ...], Record] = {}
    for put, service, username in steps:
        if put:
            held[service, username] = record(service, username)
            index.put(held[service, username])
        else:
            held.pop((service, username), None)
            index.drop((service, username))
        assert {each.key: each for each in index} == held
        assert index.size == len(held)
        assert len(index.at(service)) == sum(key[0] == service for key in held)
