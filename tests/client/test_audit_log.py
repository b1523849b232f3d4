"""How the audit log is read and looks to a person."""

from __future__ import annotations

import json
import os
from datetime import date
from time import time
from typing import TYPE_CHECKING, Any

import pytest

from tokenward.audit import (
    LONGEST,
    LogReader,
    brief_row,
    day_of,
    is_about,
    is_agreeing_clock,
    line_time,
    reach_text,
    row,
    to_json,
)
from tokenward.errors import CommandError
from tokenward.ui.argument_parser import moment

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://h.example/a/"


def line(**values: Any) -> dict[str, Any]:
    return {"chain": "0", "n": 1, "time": "2026-01-31T12:00:00Z", "event": "fetch", **values}


def written(path: Path, *lines: object) -> None:
    with path.open("ab") as file:
        for each in lines:
            file.write(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n")


def test_lines_come_in_order_over_all_files_and_each_once(tmp_path: Path) -> None:
    written(tmp_path / "00000010.jsonl", line(a=3))
    written(tmp_path / "00000009.jsonl", line(a=1), line(a=2))
    written(tmp_path / "notes.txt", line(a=9))
    reader = LogReader(str(tmp_path))
    assert [each["a"] for each in reader.lines()] == [1, 2, 3]
    assert list(reader.lines()) == []
    written(tmp_path / "00000010.jsonl", line(a=4), b'{"time": "2026-0')
    assert [each["a"] for each in reader.lines()] == [4]
    written(tmp_path / "00000010.jsonl", b'1-31T12:00:00Z", "event": "x", "a": 5}\n')
    assert [each["a"] for each in reader.lines()] == [5]
    assert reader.unreadable == 0


def test_what_is_no_line_is_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "00000001.jsonl"
    written(path, b"nonsense\n", b"[]\n", b'{"time": 1}\n', b"\n", b"[" * 5000 + b"\n", b"\xff\n")
    written(path, line(event=1), line(a=1))
    reader = LogReader(str(tmp_path))
    assert [each["a"] for each in reader.lines()] == [1]
    assert reader.unreadable == 6


def test_what_is_no_file_is_passed_over_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "00000001.jsonl")
    (tmp_path / "00000002.jsonl").mkdir()
    (tmp_path / "00000003.jsonl").symlink_to("/etc/passwd")
    assert list(LogReader(str(tmp_path)).lines()) == []
    assert list(LogReader(str(tmp_path / "nowhere")).lines()) == []


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        (
            {
                "who": {"program": "twine", "terminal": "pts/3", "unit": "x.scope"},
                "decision": "given",
                "service": "https://upload.pypi.org/legacy/",
                "username": "__token__",
                "projects": ["a", "b"],
                "expires": 1769864400,
            },
            ("twine on pts/3", "fetch", "pypi", "a, b", "given for 1 hour"),
        ),
        (
            {"who": {"program": "pip", "through": ["keyring"], "unit": "ci.service"}},
            ("pip by keyring in ci.service", "fetch", "", "", ""),
        ),
        (
            {"who": {"program": "x"}, "decision": "refused", "code": "locked", "service": URL},
            ("x", "fetch", URL, "", "refused: locked"),
        ),
        (
            {"who": {"program": "auth"}, "decision": "given", "purpose": "exec: uv publish"},
            ("auth", "fetch (exec: uv publish)", "", "", "given"),
        ),
        (
            {"decision": "refused", "code": "refused"},
            ("", "fetch", "", "", "refused"),
        ),
        (
            {"decision": "refused", "code": "refused", "why": "sealed"},
            ("", "fetch", "", "", "refused: sealed"),
        ),
        (
            {"decision": "refused", "code": "refused", "rule": 7, "why": "no answer"},
            ("", "fetch", "", "", "denied by line 7 of the policy: no answer"),
        ),
        (
            {"event": "logout", "decision": "done", "count": 12},
            ("", "logout", "12 credentials", "", "done"),
        ),
        (
            {"decision": "refused", "code": "refused", "rule": 7, "consent": "asked"},
            ("", "fetch", "", "", "denied when asked (line 7 of the policy)"),
        ),
        (
            {"decision": "refused", "code": "refused", "rule": 7, "consent": "remembered"},
            ("", "fetch", "", "", "denied when asked before (line 7 of the policy)"),
        ),
        (
            {"event": "clock", "decision": "done", "service": URL, "ahead": -7300},
            ("", "clock", URL, "", "done: 2 hours behind"),
        ),
        (
            {"decision": "given", "service": URL, "username": "ana", "lost": 3},
            ("", "fetch", f"{URL} (ana)", "", "given; 3 lines before could not be written"),
        ),
        (
            {"who": 1, "projects": 1, "expires": "x", "through": 2, "event": "start"},
            ("", "start", "", "", ""),
        ),
    ],
)
def test_a_line_is_a_row_of_a_table(values: dict[str, Any], cells: tuple[str, ...]) -> None:
    assert row(line(**values))[1:] == cells


def test_a_program_sees_all_but_signatures() -> None:
    assert to_json(line(mac="x", file={}, a=1)) == {
        "time": "2026-01-31T12:00:00Z",
        "event": "fetch",
        "a": 1,
    }


@pytest.mark.parametrize(
    ("service", "about"),
    [
        (URL, True),
        ("https://h.example/", True),
        ("https://h.example/a/b/", True),
        ("https://h.example/b/", False),
        ("other", False),
    ],
)
def test_what_covers_a_service_and_what_lies_below_it_is_about_it(
    service: str, about: bool
) -> None:
    assert is_about(line(service=service), URL) is about


def test_a_line_without_a_service_is_about_none() -> None:
    assert not is_about(line(), URL)


def test_since_is_a_length_of_time_or_a_moment() -> None:
    assert abs(moment("2h") - (time() - 7200)) < 60
    assert moment("2026-01-31T12:00:00Z") == line_time(line()) == moment("2026-01-31T13:00+01:00")
    assert moment("2026-01-31") < moment("2026-02-01T00:00")


def test_how_far_back_a_log_goes_is_known_by_the_numbers_of_its_chains(tmp_path: Path) -> None:
    path = tmp_path / "00000007.jsonl"
    written(path, line(chain="a", n=11, time="2026-01-31T11:00:00Z"), line(chain="a", n=12))
    written(path, line(chain="b", n=1), line(chain="b", n=2), line(chain="c", n=5), line(n="x"))
    reader = LogReader(str(tmp_path))
    assert len(list(reader.lines())) == 6
    assert (reader.since, reader.removed_lines) == ("2026-01-31T11:00:00Z", 14)
    sentence = reach_text(reader.since, reader.removed_lines, least=True)
    assert "at least 14 lines before that were removed to make room." in sentence
    assert (
        reach_text("2026-01-31T11:00:00Z", 0, least=True) == reach_text(None, 3, least=False) == ""
    )


def test_a_folder_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    written(tmp_path / "aside" / "00000001.jsonl", line())
    (tmp_path / "audit").symlink_to(tmp_path / "aside")
    with pytest.raises(CommandError, match="is a link"):
        list(LogReader(str(tmp_path / "audit")).lines())


def test_a_line_without_end_is_not_taken_into_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / "00000001.jsonl"
    written(path, line(a=1), b"x" * (3 * LONGEST) + b"\n", line(a=2))
    reader = LogReader(str(tmp_path))
    assert [each["a"] for each in reader.lines()] == [1, 2]
    assert reader.unreadable > 0


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        (
            {
                "who": {"program": "twine", "terminal": "pts/3"},
                "purpose": "publish",
                "decision": "given",
                "service": URL,
                "username": "ana",
                "projects": ["a"],
                "expires": 1769864400,
            },
            ("twine: publish", "h.example/a (ana)", "a", "1 hour"),
        ),
        (
            {"who": {"program": "uv", "through": ["keyring"]}, "decision": "given"},
            ("uv (keyring)", "", "", "given"),
        ),
        (
            {"who": {"program": "auth"}, "purpose": "exec: uv publish", "decision": "given"},
            ("exec: uv publish", "", "", "given"),
        ),
        (
            {"who": {"program": "x"}, "decision": "refused", "code": "locked", "service": URL},
            ("x", "h.example/a", "", ("REFUSED: locked", "red")),
        ),
        ({"event": "start"}, ("agent: start", "", "", "")),
        (
            {"event": "login", "who": {"program": "auth"}, "decision": "done"},
            ("auth: login", "", "", "done"),
        ),
    ],
)
def test_a_line_on_a_terminal_is_short(values: dict[str, Any], cells: tuple[Any, ...]) -> None:
    moment, *others = brief_row(line(**values))
    assert len(str(moment)) == 8
    assert tuple(others) == cells


@pytest.mark.parametrize(("day", "named"), [(31, "Today"), (30, "2026-01-30"), (1, "2026-01-01")])
def test_a_day_is_named(day: int, named: str) -> None:
    noon = line(time=f"2026-01-{day:02}T12:00:00Z")
    assert day_of(noon, date(2026, 1, 31)) == named.replace("2026-01-30", "Yesterday")


@pytest.mark.parametrize(
    ("values", "agrees"),
    [
        ({"event": "clock", "decision": "done", "ahead": -1}, True),
        ({"event": "clock", "decision": "done"}, True),
        ({"event": "clock", "decision": "done", "ahead": 7200}, False),
        ({"event": "clock", "decision": "refused"}, False),
        ({"event": "login", "decision": "done"}, False),
    ],
)
def test_a_clock_that_agrees_is_known(values: dict[str, Any], agrees: bool) -> None:
    assert is_agreeing_clock(line(**values)) is agrees
