"""Uploads whose end no line of the log tells: found once, and only by lines of an agent's form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenward_agent.audit.files import LogFiles
from tokenward_agent.audit.unfinished import unfinished_uploads

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"project": "mine", "version": "1.0", "file": "f", "size": 7, "sha256": "d", "run": "r"}


def line(event: str, more: dict[str, object], chain: str = "a" * 16) -> str:
    values = {"chain": chain, "n": 1, "time": "2026-01-31T12:00:00Z", "event": event, **more}
    return json.dumps({**values, "mac": "0" * 64}, separators=(",", ":")) + "\n"


def found(tmp_path: Path, *lines: str) -> list[dict[str, object]]:
    folder = tmp_path / "audit"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "00000001.jsonl").write_text("".join(lines))
    return unfinished_uploads(LogFiles(str(folder)), "f" * 16)


def begun(**more: object) -> str:
    return line("publish", {"decision": "given", **FACTS, **more})


def test_an_upload_that_began_and_did_not_end_is_found(tmp_path: Path) -> None:
    ended = line("published", {"status": "200", **FACTS})
    assert found(tmp_path, begun(), ended) == []
    assert found(tmp_path, begun()) == [FACTS]
    assert found(tmp_path, begun(), begun(), ended) == [FACTS]
    assert found(tmp_path, begun(run="other"), begun(), ended) == [{**FACTS, "run": "other"}]


def test_what_was_refused_and_what_this_agent_sends_is_not(tmp_path: Path) -> None:
    refused = line("publish", {"decision": "refused", **FACTS})
    own = line("publish", {"decision": "given", **FACTS}, "f" * 16)
    assert found(tmp_path, refused, own) == []


def test_values_of_other_kinds_and_lines_of_another_form_do_no_harm(tmp_path: Path) -> None:
    odd = begun(size="7", project=["x"], who={"program": "x"}, more="x")
    assert found(tmp_path, odd) == [
        {key: value for key, value in FACTS.items() if key not in {"size", "project"}}
    ]
    assert found(tmp_path, '{"event":"publish"\n', '"event":"publish"\n', "\0\n", begun()) == [
        FACTS
    ]


def test_no_log_and_a_folder_that_is_a_link_hold_none(tmp_path: Path) -> None:
    assert unfinished_uploads(LogFiles(str(tmp_path / "missing")), "f" * 16) == []
    (tmp_path / "link").symlink_to(tmp_path)
    assert unfinished_uploads(LogFiles(str(tmp_path / "link")), "f" * 16) == []
