"""What is said of a stored token: its width, its end, and whether it should be replaced."""

from __future__ import annotations

from typing import Any

import pytest

from support.macaroons import token_of
from tokenward.checks import agent
from tokenward.credentials.listing import OLD_DAYS, advice_text, end_of, facts_table, scope_text
from tokenward_protocol.index_tokens import describe, token_of_text
from tokenward_protocol.urls import PYPI

NOW = 1_790_000_000
DAY = 86400
USER = '[3,"a user"]'


def entry(*caveats: str, service: str = PYPI, days: int = 0, **more: Any) -> dict[str, Any]:
    """Return an entry of a list for a token with these caveats."""
    token = describe(token_of_text(token_of("pypi.org", "x", *caveats)))
    named = {"service": service, "username": "__token__", "created": NOW - days * DAY}
    return {**named, "expires": None, "sealed": False, "token": token, **more}


@pytest.mark.parametrize(
    ("caveats", "said"),
    [
        ([], "not visible"),
        (["[0,5,0]"], "not visible"),
        ([USER], "every project"),
        (['{"version":1,"permissions":"user"}'], "every project"),
        (['[1,["a"]]'], "a"),
        (['[1,["a","b","c"]]'], "a, b and c"),
        (['[1,["a","b","c","d"]]'], "a, b, c and more"),
        (["[1,[]]"], "nothing"),
        (['[2,["id"]]'], "some projects"),
        (['[4,"publisher",null]'], "some projects"),
    ],
)
def test_a_width_is_said_in_a_few_words(caveats: list[str], said: str) -> None:
    assert scope_text(entry(*caveats)["token"]) == said


def test_a_password_has_no_width() -> None:
    assert scope_text(None) == ""


def test_the_earlier_end_is_the_end() -> None:
    assert end_of(entry()) is None
    assert end_of(entry("[0,50,0]")) == 50
    assert end_of(entry("[0,50,0]", expires=40)) == 40
    assert end_of(entry(token=None, expires=40)) == 40


def test_what_is_old_or_wide_should_be_replaced() -> None:
    old = f"The token for pypi was stored {OLD_DAYS // 30} months ago"
    assert advice_text(entry(days=OLD_DAYS - 1), NOW) == ""
    assert advice_text(entry(days=OLD_DAYS), NOW) == f"{old}."
    wide = "is good for every project of its owner"
    assert advice_text(entry(USER), NOW) == f"The token for pypi {wide}."
    assert advice_text(entry(USER, days=OLD_DAYS), NOW) == f"{old} and {wide}."
    assert advice_text(entry('[1,["a"]]'), NOW) == ""


def test_nothing_is_advised_where_no_page_is_known() -> None:
    assert advice_text(entry(USER, service="https://index.example/", days=999), NOW) == ""
    assert advice_text(entry(token=None, days=999), NOW) == ""


def test_every_restriction_is_a_fact() -> None:
    said = dict(
        facts_table(
            entry(
                '[2,["id"]]', '[4,"p",null]', "[0,1790007200,5]", '{"nbf":1,"exp":1790007200}', "?"
            ),
            NOW,
        )
    )
    assert said["good for"] == "some projects"
    assert said["project ids"] == "id"
    assert said["trusted publishing"] == "yes"
    assert said["not before"] == "1970-01-01T00:00:05Z"
    assert said["form"] == "from before 2022"
    assert said["not understood"] == "1 of 5 restrictions"
    assert said["expires"] == "in 2 hours (2026-09-21T16:13:20Z)"
    bare = dict(facts_table(entry(), NOW))
    assert "may keep some to itself" in bare["good for"]
    assert bare["expires"] == "no expiry is visible"


def test_doctor_warns_of_each_token_that_should_be_replaced() -> None:
    found = list(agent.token_findings([entry(USER), entry("[0,5,0]"), entry('[1,["a"]]')], NOW))
    assert [each.state for each in found] == ["warning", "warning"]
    assert "has expired" in found[1].message
    (fine,) = agent.token_findings([entry('[1,["a"]]'), entry(token=None)], NOW)
    assert (fine.state, "1 token." in fine.message) == ("ok", True)
    assert list(agent.token_findings([entry(token=None)], NOW)) == []
