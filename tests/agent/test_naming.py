"""A service is named by its key or in any spelling, and means the same entry either way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine
from tokenward_agent.failure import Failure
from tokenward_agent.requests.naming import (
    candidate_services,
    names_service,
    service_of,
    stored_service,
)
from tokenward_agent.store.lookup import Ambiguous
from tokenward_agent.wire.request import Request
from tokenward_protocol.urls import PYPI

if TYPE_CHECKING:
    from pathlib import Path

KEY = "https://index.example/team/"


def request(**arguments: str) -> Request:
    return Request("fetch", 1, "", dict(arguments))


@pytest.mark.parametrize(
    ("spelling", "service"),
    [
        (KEY, KEY),
        ("HTTPS://Index.example:443/team", KEY),
        ("https://index.example./a/../team/simple/", KEY),
        ("https://index.example/team/+simple", KEY),
        ("https://pypi.org/simple/", PYPI),
        ("http://127.0.0.1:8080/simple", "http://127.0.0.1:8080/"),
        ("index.example", "index.example"),
        ("index.example:8080", "index.example:8080"),
        ("poetry-repository-ours", "poetry-repository-ours"),
        ("http://index.example/", "http://index.example/"),
        ("ftp://index.example", "ftp://index.example"),
        ("https://", "https://"),
        ("any text\n at all", "any text\n at all"),
    ],
)
def test_a_change_by_a_spelling_is_of_the_key_or_of_that_very_string(
    spelling: str, service: str
) -> None:
    assert stored_service(request(spelling=spelling)) == service


def test_what_is_stored_by_any_spelling_is_found_by_every_other() -> None:
    spellings = [
        "https://INDEX.example/team",
        "https://index.example/team/simple/",
        f"{KEY}p/x.whl",
    ]
    assert all(KEY in candidate_services(request(spelling=spelling)) for spelling in spellings)


@pytest.mark.parametrize("spelling", ["http://index.example/a/", "ftp://index.example/a/", "a/b"])
def test_what_is_opaque_is_found_by_that_very_string_alone(spelling: str) -> None:
    assert list(candidate_services(request(spelling=spelling))) == [spelling]


def test_a_bare_host_is_not_what_a_url_is_stored_under() -> None:
    assert list(candidate_services(request(spelling="index.example"))) == ["index.example"]


@pytest.mark.parametrize("arguments", [{}, {"service": KEY, "spelling": KEY}])
def test_a_service_is_named_in_one_way(arguments: dict[str, str]) -> None:
    with pytest.raises(Failure, match="by `service` or by `spelling`"):
        service_of(request(**arguments))


def test_a_request_may_name_none() -> None:
    assert not names_service(request())
    assert names_service(request(spelling="x"))


def test_a_service_in_another_spelling_is_refused() -> None:
    with pytest.raises(Failure, match="canonical"):
        stored_service(request(service="https://index.example/team"))


async def test_of_several_accounts_none_is_guessed_for_a_spelling_either(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(KEY, b"one", username="ann")
    await engine.login(KEY, b"two", username="bob")
    spelled = candidate_services(request(spelling="https://index.example/team/simple"))
    with pytest.raises(Ambiguous):
        engine.vaults.account(spelled, None, None)
    places = candidate_services(request(spelling=f"{KEY}simple"))
    (found,) = engine.vaults.account(places, "bob", None)
    assert found.record.username == "bob"
