"""Where the audit log lies and how far back it goes: what somebody put there, and what is gone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from tokenward_agent.audit import log as logs
from tokenward_agent.audit.files import LogFiles

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://index.example/"


async def used(root: Path, fetches: int) -> Engine:
    """Return an engine with a credential that was fetched so often, vouched for by its vault."""
    engine = Engine(root)
    if engine.disabled.state == "absent":
        await engine.make("disabled")
        await engine.ask("login", b"secret", service=URL, username="ana", provider="disabled")
    await fetched(engine, fetches)
    return engine


async def fetched(engine: Engine, times: int) -> None:
    for _ in range(times):
        assert (await engine.ask("fetch", service=URL))[0]["ok"] is True
    await engine.audit_anchoring.anchor_now()


async def found(engine: Engine) -> dict[str, Any]:
    header, _ = await engine.ask("log", verify=True)
    return dict(header)


def folder(root: Path) -> Path:
    return root / "state" / "audit"


# How far back.


@pytest.mark.parametrize("agents", [1, 2, 5])
async def test_what_gave_way_to_newer_lines_is_counted(
    agents: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 1000)
    monkeypatch.setattr(logs, "FILES", 3)
    for _ in range(agents - 1):
        await used(tmp_path, 30)
    answer = await found(await used(tmp_path, 30))
    written = 1 + 30 * agents  # the login is a line, too
    assert answer["count"] == 0, answer["problems"]
    assert answer["gone"] == written - answer["lines"] > 0
    first = min(folder(tmp_path).iterdir()).read_text().splitlines()[0]
    assert f'"time":"{answer["since"]}"' in first


async def test_a_log_from_its_beginning_on_has_nothing_gone(tmp_path: Path) -> None:
    await used(tmp_path, 3)
    answer = await found(await used(tmp_path, 2))
    assert (answer["gone"], answer["count"]) == (0, 0)


# What lies in its place.


def linked(place: Path, aside: Path) -> None:
    aside.mkdir(mode=0o700)
    place.symlink_to(aside)


PLACES: dict[str, Callable[[Path, Path], object]] = {
    "a link to a folder": linked,
    "a link to nothing": lambda place, aside: place.symlink_to(aside),
    "a file": lambda place, _: place.write_text(""),
    "a FIFO": lambda place, _: os.mkfifo(place),
}


@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_no_line_is_written_or_read_through_what_is_no_folder_of_ours(
    what: str, when: str, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"
    if when == "before":
        (tmp_path / "state").mkdir(mode=0o700)
        PLACES[what](folder(tmp_path), aside)
        engine = await used(tmp_path, 2)
    else:
        engine = await used(tmp_path, 2)
        folder(tmp_path).rename(tmp_path / "former")
        PLACES[what](folder(tmp_path), aside)
        await fetched(engine, 2)
    assert not aside.exists() or not list(aside.iterdir())
    log: Any = (await engine.ask("status"))[0]["log"]
    assert log["lost"] >= 2
    assert str(folder(tmp_path)) in log["problem"]
    answer = await found(engine)
    assert answer["ok"] is False or answer["count"]
    folder(tmp_path).unlink()
    await fetched(engine, 1)
    log = (await engine.ask("status"))[0]["log"]
    assert (log["lost"], log["problem"]) == (0, None)


@pytest.mark.root("gives a folder away")
async def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    folder(tmp_path).mkdir(mode=0o777)
    os.chown(folder(tmp_path), 12345, 12345)
    engine = await used(tmp_path, 1)
    log: Any = (await engine.ask("status"))[0]["log"]
    assert "belongs to another user (uid 12345)" in log["problem"]
    assert not list(folder(tmp_path).iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o1777, 0o701, 0o2770])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_folder_that_was_opened_to_others_is_closed_again(
    mode: int, when: str, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    if when == "meanwhile":
        engine = await used(tmp_path, 1)
    else:
        folder(tmp_path).mkdir()
    folder(tmp_path).chmod(mode)
    engine = await used(tmp_path, 1)
    assert not stat.S_IMODE(folder(tmp_path).stat().st_mode) & 0o077
    assert (await found(engine))["count"] == 0


STRAYS: dict[str, Callable[[Path, Path], object]] = {
    "notes.txt": lambda path, _: path.write_text("x"),
    "00000001.jsonl.bak": lambda path, log: path.write_bytes(log.read_bytes()),
    "000000001.jsonl": lambda path, log: path.write_bytes(log.read_bytes()),
    "1.jsonl": lambda path, log: path.write_bytes(log.read_bytes()),
    "٠٠٠٠٠٠٠٢.jsonl": lambda path, log: path.write_bytes(log.read_bytes()),
    "999999999999999.jsonl": lambda path, log: path.write_bytes(log.read_bytes()),
    "00000002.jsonl": lambda path, log: path.symlink_to(log),
    "00000003.jsonl": lambda path, _: os.mkfifo(path),
    "00000004.jsonl": lambda path, _: path.mkdir(),
    "00000098.jsonl": lambda path, _: path.mkdir(),
    "00000099.jsonl": lambda path, log: path.symlink_to(log),
    "audit": lambda path, _: path.mkdir(),
    "\x1b[2J": lambda path, _: path.write_text("x"),
    "\udcff": lambda path, _: path.write_text("x"),
    "new\nline": lambda path, _: path.write_text("x"),
}


@pytest.mark.parametrize("name", STRAYS, ids=ascii)
async def test_what_lies_among_the_files_of_a_log_is_named_and_believed_in_nothing(
    name: str, tmp_path: Path
) -> None:
    engine = await used(tmp_path, 2)
    before = await found(engine)
    assert before["strays"] == []
    STRAYS[name](folder(tmp_path) / name, folder(tmp_path) / "00000001.jsonl")
    answer = await found(engine)
    assert answer["strays"] == [name.encode(errors="backslashreplace").decode()]
    assert (answer["count"], answer["lines"]) == (0, before["lines"])
    again = await used(tmp_path, 2)  # an agent that begins there anew
    answer = await found(again)
    assert answer["lines"] == before["lines"] + 2
    assert answer["count"] == 0, answer["problems"]


async def test_ever_more_of_it_still_fits_into_an_answer(tmp_path: Path) -> None:
    engine = await used(tmp_path, 1)
    for number in range(500):
        (folder(tmp_path) / f"{number}{'x' * 200}").write_text("")
    assert 0 < len((await found(engine))["strays"]) < 500


def test_a_number_has_one_name(tmp_path: Path) -> None:
    files = LogFiles(str(tmp_path))
    for number in (1, 99999999, 100000000, 10**12 - 1):
        (tmp_path / f"{number:08}.jsonl").touch()
        (tmp_path / f"{number:013}.jsonl").touch()
        (tmp_path / f"0{number:08}.jsonl").touch()
    assert [Path(files.path(n)).name for n in files.numbers()] == [
        "00000001.jsonl", "99999999.jsonl", "100000000.jsonl", "999999999999.jsonl"
    ]  # fmt: skip
