"""The audit log: what it says, that it outlives its disk, and that no change of it goes unnoticed."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.agents.in_process import START, Engine, ManualClock
from tokenward_agent.arena import Arena
from tokenward_agent.audit import log as logs
from tokenward_agent.audit.chain import LABEL, Chain
from tokenward_agent.audit.lines import read_line
from tokenward_agent.audit.log import AuditLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokenward_agent.audit.files import LogFiles

URL = "https://index.example/"


async def used(root: Path, fetches: int = 3, clock: ManualClock | None = None) -> Engine:
    """Return an engine with one credential that was fetched so often, vouched for by its vault."""
    engine = Engine(root, clock)
    if engine.disabled.state == "absent":
        await engine.make("disabled")
        await engine.ask("login", b"secret", service=URL, username="ana", provider="disabled")
    await fetched(engine, fetches)
    return engine


async def fetched(engine: Engine, times: int) -> None:
    for _ in range(times):
        header, _ = await engine.ask("fetch", service=URL)
        assert header["ok"] is True, header
    await engine.audit_anchoring.anchor_now()


async def found(engine: Engine) -> dict[str, Any]:
    header, _ = await engine.ask("log", verify=True)
    assert header["ok"] is True, header
    return dict(header)


def folder(root: Path) -> Path:
    return root / "state" / "audit"


def lines(root: Path, number: int = 1) -> list[bytes]:
    return (folder(root) / f"{number:08}.jsonl").read_bytes().splitlines(keepends=True)


def put(root: Path, changed: list[bytes], number: int = 1) -> None:
    """Change the file in place, as an editor would that knows that the agent has it open."""
    (folder(root) / f"{number:08}.jsonl").write_bytes(b"".join(changed))


async def test_a_line_says_who_asked_for_what_and_what_was_decided(tmp_path: Path) -> None:
    await used(tmp_path, 1)
    login, fetch = map(json.loads, lines(tmp_path))
    assert login["event"] == "login"
    assert login["file"] == {"number": 1, "before": 0, "kept": 1, "after": None}
    assert {k: v for k, v in fetch.items() if k not in {"chain", "mac"}} == {
        "n": 2,
        "time": "2026-09-21T14:13:20Z",
        "event": "fetch",
        "decision": "given",
        "service": URL,
        "username": "ana",
        "provider": "disabled",
    }
    assert START == 1_790_000_000


async def test_what_only_looks_and_what_finds_nothing_leaves_no_line(tmp_path: Path) -> None:
    engine = await used(tmp_path, 0)
    before = lines(tmp_path)
    for op in ("status", "hello", "list"):
        await engine.ask(op)
    assert (await engine.ask("fetch", service="https://other.example/"))[0]["code"] == "not-found"
    assert lines(tmp_path) == before


async def test_a_word_in_the_wrong_place_is_not_written_down(tmp_path: Path) -> None:
    engine = await used(tmp_path, 0)
    engine.locking.close()
    await engine.ask("lock")
    for header in (
        (await engine.ask("fetch", service="pypi-SECRET"))[0],
        (await engine.ask("fetch", spelling="SECRET", username="SECRET"))[0],
    ):
        assert header["code"] == "locked"
    await engine.ask("fetch", service=URL)
    text = b"".join(lines(tmp_path))
    assert b"SECRET" not in text
    assert text.count(b'"code":"locked"') == 3
    assert text.count(URL.encode()) == 2  # the login and the last one


async def test_the_signatures_are_what_the_page_says(tmp_path: Path) -> None:
    """Written from docs/AUDIT.md alone: hashlib and hmac."""
    engine = Engine(tmp_path)
    key = bytes(engine.log.chain._first)
    await engine.make("disabled")
    await engine.ask("login", b"secret", service=URL, username="ana", provider="disabled")
    await fetched(engine, 3)
    for number, line in enumerate(lines(tmp_path), 1):
        signed, mac = line.rstrip(b"\n")[:-1].rsplit(b',"mac":', 1)
        assert json.loads(line)["n"] == number
        assert mac.strip(b'"').decode() == hmac.new(key, signed, hashlib.sha256).hexdigest()
        key = hashlib.sha256(bytes([0, 0, 0, 1]) + key + LABEL).digest()


async def test_an_untouched_log_is_whole_over_locks_and_restarts(tmp_path: Path) -> None:
    engine = await used(tmp_path)
    await engine.ask("lock")
    assert (await engine.ask("fetch", service=URL))[0]["code"] == "locked"
    assert (await engine.ask("log", verify=True))[0]["code"] == "locked"
    await engine.ask("unlock")
    await fetched(engine, 2)
    again = await used(tmp_path)
    answer = await found(again)
    assert answer["problems"] == []
    assert (answer["lines"], answer["vouched"], answer["unanchored"]) == (12, 12, 0)


def changed(held: list[bytes]) -> list[bytes]:
    held[2] = held[2].replace(b'"given"', b'"never"')
    return held


def swapped(held: list[bytes]) -> list[bytes]:
    held[1], held[2] = held[2], held[1]
    return held


def repeated(held: list[bytes]) -> list[bytes]:
    return [*held[:3], held[2], *held[3:]]


def taken(held: list[bytes]) -> list[bytes]:
    return held[:2] + held[3:]


def begun_late(held: list[bytes]) -> list[bytes]:
    return held[1:]


def cut(held: list[bytes]) -> list[bytes]:
    return held[:-1]


def cut_within(held: list[bytes]) -> list[bytes]:
    return [*held[:-1], held[-1][:-20]]


def emptied(_held: list[bytes]) -> list[bytes]:
    return []


def written_over(held: list[bytes]) -> list[bytes]:
    return [*held[:2], b"x" * 80 + b"\n", *held[2:]]


def of_another_chain(held: list[bytes]) -> list[bytes]:
    return [*held[:2], held[1].replace(held[1][10:26], b"0" * 16), *held[2:]]


def of_a_far_number(held: list[bytes]) -> list[bytes]:
    return [*held[:2], held[1].replace(b'"n":2,', b'"n":999999999999999,'), *held[2:]]


@pytest.mark.parametrize(
    "attack",
    [
        changed,
        swapped,
        repeated,
        taken,
        begun_late,
        cut,
        cut_within,
        emptied,
        written_over,
        of_another_chain,
        of_a_far_number,
    ],
)
@pytest.mark.parametrize("when", ["while it runs", "after its end"])
async def test_a_change_of_the_log_is_found(
    attack: Callable[[list[bytes]], list[bytes]], when: str, tmp_path: Path
) -> None:
    engine = await used(tmp_path, 5)
    held = lines(tmp_path)
    assert len(held) == 6
    put(tmp_path, attack(list(held)))
    if when == "after its end":
        engine = Engine(tmp_path)
    answer = await found(engine)
    assert answer["count"] >= 1
    assert all(re.search(r"line|Line", sentence) for sentence in answer["problems"])
    put(tmp_path, held)
    assert (await found(engine))["problems"] == []


PLACES = st.integers(0, 1 << 16)


@given(changed=PLACES, bits=st.integers(1, 255), start=PLACES, size=PLACES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_up_to_the_last_anchor_can_be_changed(
    changed: int, bits: int, start: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where that is in a log, which is another one each time, is counted round and round."""
    root = tmp_path_factory.mktemp("log")

    async def main() -> None:
        engine = await used(root, 3)
        whole = b"".join(lines(root))
        at, first = changed % len(whole), start % len(whole)
        end = first + 1 + size % (len(whole) - first)
        put(root, [whole[:at], bytes([whole[at] ^ bits]), whole[at + 1 :]])
        assert (await found(engine))["count"] >= 1
        put(root, [whole[:first], whole[end:]])
        assert (await found(engine))["count"] >= 1 or whole[first:end] == b"\n"
        put(root, [whole])
        assert (await found(engine))["count"] == 0

    asyncio.run(main())


async def test_what_was_written_last_is_told_to_be_unanchored(tmp_path: Path) -> None:
    engine = await used(tmp_path)
    for _ in range(4):
        await engine.ask("fetch", service=URL)
    killed = lines(tmp_path)
    again = Engine(tmp_path)
    await again.opening.open_unattended()
    answer = await found(again)
    assert (answer["count"], answer["vouched"], answer["unanchored"]) == (0, 4, 4)
    put(tmp_path, killed[:-2])  # nobody can know
    assert (await found(again))["count"] == 0
    put(tmp_path, killed[:3])
    assert (await found(again))["problems"] == [
        "A line is missing behind line 3 of 00000001.jsonl."
    ]


async def test_the_next_agent_vouches_for_the_end_of_one_that_was_killed(tmp_path: Path) -> None:
    engine = await used(tmp_path)
    for _ in range(4):
        await engine.ask("fetch", service=URL)
    again = await used(tmp_path, 1)
    answer = await found(again)
    assert (answer["count"], answer["vouched"], answer["unanchored"]) == (0, 9, 0)
    held = lines(tmp_path)
    put(tmp_path, held[:-2] + held[-1:])
    assert (await found(again))["problems"] == [
        "The lines before line 8 of 00000001.jsonl are missing."
    ]
    stranger = held[2].replace(held[2][10:26], b"f" * 16)
    put(tmp_path, [*held[:-1], stranger, held[-1]])
    assert (await found(again))["problems"] == ["Line 9 of 00000001.jsonl was inserted."]


async def test_an_agent_whose_vaults_never_open_leaves_lines_that_nobody_vouches_for(
    tmp_path: Path,
) -> None:
    await used(tmp_path)
    (tmp_path / "state" / "locked").touch()
    locked = Engine(tmp_path)
    for _ in range(3):
        assert (await locked.ask("fetch", service=URL))[0]["code"] == "locked"
    (tmp_path / "state" / "locked").unlink()
    answer = await found(await used(tmp_path, 1))
    assert (answer["count"], answer["vouched"], answer["unanchored"]) == (0, 5, 3)


async def test_a_chain_that_began_in_the_dark_is_vouched_for_once_a_vault_opens(
    tmp_path: Path,
) -> None:
    await used(tmp_path)
    (tmp_path / "state" / "locked").touch()
    engine = Engine(tmp_path)
    assert (await engine.ask("fetch", service=URL))[0]["code"] == "locked"
    await engine.ask("unlock")
    await fetched(engine, 1)
    answer = await found(engine)
    assert (answer["count"], answer["vouched"], answer["unanchored"]) == (0, 7, 0)


async def test_the_first_key_leaves_memory_once_a_vault_has_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    first = bytes(engine.log.chain._first)
    assert first in bytes(engine.arena.view)
    await engine.make("disabled")
    await engine.ask("login", b"x", service=URL, username="ana", provider="disabled")
    await fetched(engine, 2)
    assert first not in bytes(engine.arena.view)
    engine.locking.close()
    await engine.ask("unlock")
    assert (await found(engine))["vouched"] == 4


async def test_a_vault_that_opens_later_vouches_from_there_on(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    engine.locking.close()
    await engine.open("disabled")
    await engine.ask("login", b"x", service=URL, username="ana", provider="disabled")
    await fetched(engine, 2)
    await engine.open("keyring")
    await fetched(engine, 1)
    await fetched(engine, 1)
    assert [(e.first, e.lines) for e in engine.disabled.chains] == [(0, 5)]
    assert [e.lines for e in engine.keyring.chains] == [5]
    assert engine.keyring.chains[0].first == 4
    assert (await found(engine))["vouched"] == 5
    engine.vaults.close(engine.disabled)
    (tmp_path / "credentials" / "disabled.vault").rename(tmp_path / "elsewhere")
    alone = Engine(tmp_path)
    await alone.open("keyring")
    answer = await found(alone)
    first = engine.keyring.chains[0].first
    assert (answer["count"], answer["vouched"], answer["unanchored"]) == (0, 5 - first, first)


async def test_a_new_passphrase_takes_the_keys_of_the_log_along(tmp_path: Path) -> None:
    engine = await used(tmp_path)
    await engine.ask("passphrase", b"correct horse", action="set")
    await fetched(engine, 1)
    answer = await found(engine)
    assert (answer["count"], answer["vouched"]) == (0, answer["lines"])
    held = lines(tmp_path)
    put(tmp_path, [held[0], *changed(held[1:])])
    assert (await found(engine))["count"] == 1


# Files.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be full after a few lines, and a log after three files."""
    monkeypatch.setattr(logs, "FILE_BYTES", 1000)
    monkeypatch.setattr(logs, "FILES", 3)


def numbers(root: Path) -> list[int]:
    return [int(path.stem) for path in sorted(folder(root).iterdir())]


@pytest.mark.usefixtures("small")
async def test_a_full_file_is_followed_by_another_and_the_oldest_goes(tmp_path: Path) -> None:
    engine = await used(tmp_path, 40)
    assert len(numbers(tmp_path)) == 3
    assert numbers(tmp_path)[0] > 3
    answer = await found(engine)
    assert (answer["count"], answer["unanchored"]) == (0, 0)
    assert answer["vouched"] == answer["lines"] < 40
    assert (await found(await used(tmp_path, 20)))["count"] == 0
    for path in folder(tmp_path).iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert folder(tmp_path).stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("agent", ["the same agent", "a later agent"])
async def test_a_file_that_was_taken_away_exchanged_or_renamed_is_missed(
    agent: str, tmp_path: Path
) -> None:
    engine = await used(tmp_path, 40)
    if agent == "a later agent":
        engine = await used(tmp_path, 1)
    first, second, third = (folder(tmp_path) / f"{n:08}.jsonl" for n in numbers(tmp_path))
    aside = tmp_path / "aside"
    for path in (first, second, third):
        path.rename(aside)
        assert (await found(engine))["count"] >= 1, path
        aside.rename(path)
        assert (await found(engine))["count"] == 0
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    assert (await found(engine))["count"] >= 1
    second.rename(aside)
    first.rename(second)
    aside.rename(first)
    assert (await found(engine))["count"] == 0
    third.write_bytes(second.read_bytes())
    assert (await found(engine))["count"] >= 1


@pytest.mark.usefixtures("small")
async def test_a_log_that_was_taken_away_as_a_whole_is_missed(tmp_path: Path) -> None:
    engine = await used(tmp_path, 5)
    folder(tmp_path).rename(tmp_path / "aside")
    assert (await found(engine))["count"] == 1
    engine = Engine(tmp_path)
    await engine.opening.open_unattended()
    assert "are missing." in (await found(engine))["problems"][0]
    await fetched(engine, 2)
    assert (await found(engine))["count"] >= 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("planted", ["an empty file", "the last file itself", "a forged line"])
async def test_a_file_of_a_high_number_does_not_make_all_others_old(
    planted: str, tmp_path: Path
) -> None:
    await used(tmp_path, 4)
    *others, last = sorted(folder(tmp_path).iterdir())
    for path in others:
        path.unlink()
    high = folder(tmp_path) / "00005000.jsonl"
    if planted == "the last file itself":
        last.rename(high)
    else:
        text = last.read_bytes().splitlines(keepends=True)[-1]
        high.write_bytes(text.replace(b'"n":5', b'"n":9') if planted == "a forged line" else b"")
        last.unlink()
    engine = await used(tmp_path, 1)
    assert (await found(engine))["count"] >= 1
    await fetched(engine, 8)
    assert (await found(engine))["count"] >= 1


@pytest.mark.usefixtures("small")
async def test_a_file_that_a_full_disk_left_empty_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await used(tmp_path, 2)
    disk = Disk(engine.log.files, monkeypatch)
    while engine.log.files.number == 1:
        disk.room = 0 if engine.log.files.size >= 1000 else None
        await engine.ask("fetch", service=URL)
        _ = engine.log.files.is_usable
    assert lines(tmp_path, 2) == []
    engine = await used(tmp_path, 30)
    assert min(numbers(tmp_path)) > 2
    assert (await found(engine))["count"] == 0


async def test_a_line_that_only_a_closed_vault_could_prove_says_nothing_of_files(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    engine.locking.close()
    await engine.open("disabled")
    await engine.ask("login", b"x", service=URL, username="ana", provider="disabled")
    await fetched(engine, 2)
    await engine.open("keyring")
    await fetched(engine, 1)
    (tmp_path / "credentials" / "disabled.vault").rename(tmp_path / "elsewhere")
    alone = Engine(tmp_path)
    await alone.open("keyring")
    held = lines(tmp_path)
    put(tmp_path, [held[0].replace(b'"kept":1', b'"kept":9'), *held[1:-1]])
    answer = await found(alone)
    assert answer["problems"] == ["A line is missing behind line 3 of 00000001.jsonl."]


async def test_a_file_that_was_taken_away_or_replaced_is_not_written_on(tmp_path: Path) -> None:
    engine = await used(tmp_path, 1)
    path = folder(tmp_path) / "00000001.jsonl"
    path.rename(tmp_path / "aside")
    path.write_text("")
    await fetched(engine, 1)
    assert len(lines(tmp_path)) == 1
    assert len((tmp_path / "aside").read_bytes().splitlines()) == 2


@pytest.mark.parametrize("what", ["a link", "a fifo", "a folder", "a second name"])
async def test_what_is_no_file_of_the_log_is_passed_over(what: str, tmp_path: Path) -> None:
    folder(tmp_path).mkdir(parents=True, mode=0o700)
    tmp_path.joinpath("state").chmod(0o700)
    path, target = folder(tmp_path) / "00000001.jsonl", tmp_path / "target"
    target.write_text("untouched\n")
    if what == "a link":
        path.symlink_to(target)
    elif what == "a fifo":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    else:
        path.hardlink_to(target)
    engine = await used(tmp_path, 1)
    assert target.read_text() == "untouched\n"
    assert len(lines(tmp_path, 2)) == 2
    assert engine.log.problem is None
    assert (await found(engine))["vouched"] == 2


# A disk that does not take what is written.


class Disk:
    """Stands between a log and the kernel, and takes only so many bytes."""

    def __init__(self, files: LogFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._append = files.append
        monkeypatch.setattr(files, "append", self)

    def __call__(self, data: bytes) -> int:
        if self.room is None:
            return self._append(data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "full")
        taken, self.room = data[: self.room], 0
        return self._append(taken)


@pytest.mark.parametrize("room", [0, 1, 100])
async def test_a_full_disk_stops_no_fetch_and_the_gap_is_told(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await used(tmp_path, 1)
    disk = Disk(engine.log.files, monkeypatch)
    disk.room = room
    for _ in range(3):
        assert (await engine.ask("fetch", service=URL))[1] == b"secret"
    told: dict[str, Any] = dict((await engine.ask("status"))[0])
    assert told["log"]["lost"] == 3
    assert "cannot be written: No space left" in told["log"]["problem"]
    assert (await found(engine))["lost"] == 3
    disk.room = None
    await fetched(engine, 2)
    told = dict((await engine.ask("status"))[0])
    assert (told["log"]["lost"], told["log"]["problem"]) == (0, None)
    gap = json.loads(lines(tmp_path)[-2])
    assert (gap["n"], gap["lost"], gap.get("torn", False)) == (3, 3, room > 0)
    answer = await found(engine)
    assert (answer["count"], answer["lost"], answer["vouched"]) == (0, 3, 4)


async def test_a_line_that_lacks_its_end_alone_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await used(tmp_path, 2)
    disk = Disk(engine.log.files, monkeypatch)
    disk.room = len(lines(tmp_path)[-1]) - 1
    await engine.ask("fetch", service=URL)
    disk.room = None
    await fetched(engine, 1)
    answer = await found(engine)
    assert (answer["count"], answer["lost"], answer["vouched"]) == (0, 0, 5)


async def test_a_line_that_a_kill_cut_off_is_no_attack(tmp_path: Path) -> None:
    await used(tmp_path, 2)
    with (folder(tmp_path) / "00000001.jsonl").open("ab") as file:
        file.write(b'{"chain":"0123')
    answer = await found(await used(tmp_path, 1))
    assert (answer["count"], answer["vouched"]) == (0, 4)


async def test_the_log_is_on_the_disk_before_a_vault_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await used(tmp_path, 1)
    known = engine.disabled.chains

    def broken() -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(engine.log.files, "sync", broken)
    await fetched(engine, 2)
    assert engine.disabled.chains == known
    assert (await found(engine))["count"] == 0


async def test_a_vault_that_cannot_be_written_vouches_for_nothing_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used(tmp_path, 1)
    engine = Engine(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(engine.disabled.storage, "lock", refuse)
    for _ in range(3):
        assert (await engine.ask("fetch", service=URL))[1] == b"secret"
    assert engine.disabled.chains[-1].name != engine.log.chain.name
    await engine.ask("lock")


# One chain after the other.


async def test_a_log_of_many_agents_stays_in_what_a_vault_can_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_CHAINS", 3)
    monkeypatch.setattr(logs, "FILES", 2)
    monkeypatch.setattr(logs, "LOG_CHAINS", 9)
    engine = await used(tmp_path, 1)
    for _ in range(14):
        engine = await used(tmp_path, 1)
        assert (await found(engine))["count"] == 0
    assert len(numbers(tmp_path)) == 2
    assert len(engine.disabled.chains) == 9


async def test_another_machines_log_is_none_of_ours_and_stays_vouched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await used(tmp_path, 2)
    monkeypatch.setattr(logs, "log_name", lambda _state: "0" * 16)
    folder(tmp_path).rename(tmp_path / "aside")
    second = await used(tmp_path, 2)
    answer = await found(second)
    assert (answer["count"], answer["elsewhere"], answer["vouched"]) == (0, 1, 2)
    assert {each.log for each in second.disabled.chains} == {"0" * 16, first.log.chain.log}


def test_a_chain_never_shows_its_keys(tmp_path: Path) -> None:
    arena = Arena(1 << 16)
    chain = Chain(arena, "0" * 16)
    assert bytes(chain._first).hex() not in repr(chain) + repr(vars(chain))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_line_or_none(data: bytes) -> None:
    assert read_line(data, 1, 1) is None
    read_line(
        b'{"chain":"' + b"0" * 16 + b'","n":1,' + data + b',"mac":"' + b"0" * 64 + b'"}', 1, 1
    )


def test_a_log_is_made_without_touching_the_disk(tmp_path: Path) -> None:
    AuditLog(str(tmp_path), Arena(1 << 16), ManualClock())
    assert list(tmp_path.iterdir()) == []
