"""The vocabulary, held to the tables of docs/PROTOCOL.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokenward_protocol import LocalError
from tokenward_protocol.messages import CODES, HAS_BODY, NO_BODY, OPS, make_request
from tokenward_protocol.packing import unpack

PAGE = Path(__file__).parents[2].joinpath("docs", "PROTOCOL.md").read_text(encoding="utf-8")
REQUESTS = PAGE.partition("\n## Requests\n")[2].partition("\n## Versions\n")[0]
SECTIONS = dict(re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^### |\Z)", REQUESTS))
SESSION = ("bus", "display", "wayland", "xauthority")


def test_the_page_has_every_request_and_no_other() -> None:
    assert set(SECTIONS) == set(OPS)


def test_the_page_has_every_code_with_its_meaning() -> None:
    table = dict(re.findall(r"(?m)^\| `([a-z-]+)` \| (.+) \|$", PAGE.partition("\n### Answer")[2]))
    assert table == CODES


@pytest.mark.parametrize("op", sorted(OPS))
def test_the_page_names_every_argument_of_a_request(op: str) -> None:
    text = SECTIONS[op]
    for argument in OPS[op].arguments:
        assert f"`{argument}`" in text or (argument in SESSION and "session's" in text), argument


@pytest.mark.parametrize("op", sorted(OPS))
def test_an_argument_is_required_where_the_page_puts_no_question_mark(op: str) -> None:
    for argument in OPS[op].arguments:
        optional = f"`{argument}`?" in SECTIONS[op] or argument in {*SESSION, "adopt"}
        assert (argument in OPS[op].required) is not optional, argument


@pytest.mark.parametrize("op", sorted(OPS))
def test_a_request_has_a_body_only_where_the_page_speaks_of_one(op: str) -> None:
    asked = SECTIONS[op].partition("→")[0]
    speaks = "body" in asked
    assert (OPS[op].body != NO_BODY) is speaks
    assert OPS[op].body <= HAS_BODY


def test_a_request_holds_what_was_asked_and_leaves_out_what_is_none() -> None:
    header = unpack(make_request("fetch", 7, {"service": "x", "username": None, "dir": "/d"}))
    assert header == {"v": 1, "id": 7, "op": "fetch", "service": "x", "dir": "/d"}


def test_an_empty_text_is_not_an_absent_one() -> None:
    assert unpack(make_request("fetch", 1, {"service": "x", "username": ""}))["username"] == ""


def test_an_argument_that_the_request_lacks_is_not_sent() -> None:
    with pytest.raises(LocalError, match="no argument lifetime"):
        make_request("fetch", 1, {"service": "x", "lifetime": 3})
