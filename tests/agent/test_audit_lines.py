"""A line of the audit log: bounded as it is encoded, whatever strangers put into it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.agents.in_process import Engine
from tokenward_agent.audit import lines
from tokenward_agent.audit.chain import mac_of
from tokenward_agent.audit.lines import (
    LINE_BYTES,
    READ_BYTES,
    complete_line,
    encode_json,
    format_line,
    read_line,
)

if TYPE_CHECKING:
    from pathlib import Path

CHAIN, TIME = "0123456789abcdef", "2026-01-31T12:00:00Z"
OWN = {
    "file": {"number": 10**12, "before": 10**12, "kept": 10**12,
             "after": [10**12, CHAIN, 10**15, "0" * 64]},
    "lost": 10**15, "torn": True,
}  # fmt: skip
WORST = ["a", '"', "\\", "\x01", "\x7f", "é", "\u2028", "\ud800", "\U0010ffff", "\n"]

TEXTS = st.one_of(
    st.text(max_size=40),
    st.builds(lambda piece, times: piece * times, st.sampled_from(WORST), st.integers(0, 5000)),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(-(2**64), 2**64), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=40), st.dictionaries(st.text(max_size=9), inner, max_size=9)
    ),
    max_leaves=60,
)
FIELDS = st.dictionaries(
    st.sampled_from(["service", "username", "projects", "share", "code", "uids", "replaced",
                     "socket", "evidence", "stopped", "version", "provider"]),
    VALUES, max_size=12,
)  # fmt: skip


def line_of(who: dict[str, Any], fields: dict[str, Any], own: dict[str, Any]) -> bytes:
    """Return a whole line, as the log writes it."""
    text = encode_json(who) if who else ""
    body = format_line(CHAIN, 10**15, TIME, "passphrase", text, fields, own)
    return complete_line(body, mac_of(b"k" * 32, body))


@given(FIELDS, FIELDS, st.sampled_from([OWN, {}]))
def test_no_line_is_longer_than_it_may_be_whatever_stands_in_it(
    who: dict[str, Any], fields: dict[str, Any], own: dict[str, Any]
) -> None:
    data = line_of(who, fields, own)
    assert len(data) <= LINE_BYTES
    line = read_line(data.removesuffix(b"\n"), 1, 1)
    assert line is not None
    assert {key: line.values[key] for key in own} == own
    whole_texts = {**who, **fields} and "cut" not in {**line.values, **line.values.get("who", {})}
    for said, given_ in ((line.values, fields), (line.values.get("who", {}), who)):
        for key, value in given_.items():
            if isinstance(value, str):
                assert value.startswith(said[key])
            if whole_texts:
                assert said[key] == json.loads(json.dumps(value))


@pytest.mark.parametrize("letter", WORST)
def test_the_longest_of_everything_fits(letter: str) -> None:
    who = dict.fromkeys(("program", "exe", "script", "cwd", "terminal", "unit"), letter * 256)
    chain = {"through": [letter * 64] * 8, "parents": [letter * 64] * 8}
    fields = {"service": letter * 2048, "username": letter * 1024, "share": f"/{letter * 107}"}
    data = line_of({**who, **chain}, {**fields, "projects": [letter * 100] * 500}, OWN)
    assert len(data) <= LINE_BYTES


def test_the_longest_names_that_are_ordinary_are_kept_whole() -> None:
    fields = {"decision": "given", "service": "https://h/" + "x" * 2038, "username": "u" * 1024}
    line = read_line(line_of({"program": "p" * 64}, fields, OWN).rstrip(b"\n"), 1, 1)
    assert line is not None
    assert {key: line.values[key] for key in fields} == fields
    assert "cut" not in line.values


def test_what_is_short_is_kept_where_something_else_is_cut() -> None:
    said = json.loads(
        encode_json({"code": "refused", "service": "\x01" * 9999, "at": ["x"] * 9999})
    )
    assert (said["code"], said["cut"]) == ("refused", True)
    assert len(said["service"]) > 100


def test_a_line_that_an_earlier_agent_left_unbounded_is_read() -> None:
    fields = {"service": "\x01" * 2048, "username": "\x02" * 1024}
    body = json.dumps({"chain": CHAIN, "n": 1, "time": TIME, **fields}, separators=(",", ":"))
    data = complete_line(body[:-1].encode(), bytes(32)).rstrip(b"\n")
    assert LINE_BYTES < len(data) < READ_BYTES
    line = read_line(data, 1, 1)
    assert line is not None
    assert line.values["service"] == fields["service"]
    assert read_line(data[:-1] + b" " * READ_BYTES + b"}", 1, 1) is None


async def test_names_of_control_characters_leave_a_log_that_is_whole(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    service, username = "\x01" * 2048, "\x02" * 1024
    named = {"service": service, "username": username}
    header, _ = await engine.ask("login", b"s", provider="disabled", **named)
    assert header["ok"] is True, header
    header, _ = await engine.ask("logout", spelling="x://" + "\x01" * 2040)
    assert header["ok"] is False
    header, _ = await engine.ask("fetch", service=service)
    await engine.audit_anchoring.anchor_now()
    header, _ = await engine.ask("log", verify=True)
    assert (header["count"], header["problems"], header["unanchored"]) == (0, [], 0)
    for path in (engine.state / "audit").iterdir():
        for text in path.read_bytes().splitlines():
            assert len(text) <= lines.LINE_BYTES
