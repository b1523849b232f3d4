"""Which `keyring` program is run, by whose word, and with what: never by what a vault's header says.

Whoever can write the credentials directory writes headers as they like, and until a vault is open
nothing vouches for one. So each way in which a program is run is tried against headers that somebody
put there, and against a program that others can change by then.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenward_agent
from support.agents.in_process import Engine
from support.tools.keyring_program import keyring_program
from tokenward_agent.failure import Failure
from tokenward_agent.vault.body import Body
from tokenward_agent.vault.format import Header, serialise
from tokenward_agent.vault.slot import wrap
from tokenward_agent.worker import program_jobs
from tokenward_agent.worker.job import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://index.example/team/"
ID = "5526dcfa630f499aaa059acbed0581d2"
KEY = bytes(range(32))
OURS = {"service": "tokenward", "username": f"{ID}-program"}
NOTHING = memoryview(bytearray())


class Program(NamedTuple):
    """A `keyring` program, and the file that grows with each run of it."""

    path: Path
    runs: Path

    @property
    def was_run(self) -> bool:
        return self.runs.exists()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with none above it that others can change but /tmp, which is sticky."""
    with tempfile.TemporaryDirectory(prefix="tw") as name:
        yield Path(name).resolve()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any keyring."""
    for name in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def noting(folder: Path, name: str = "bin") -> Program:
    """Put a program there that works, and notes each run and its arguments."""
    place = folder / name
    place.mkdir()
    path, runs = keyring_program(place), folder / f"{name}-runs"
    text = path.read_text().replace("#!/bin/sh\n", f'#!/bin/sh\necho "$@" >> "{runs}"\n', 1)
    path.write_text(text)
    return Program(path, runs)


def keep(program: Program, service: str, username: str, value: str) -> None:
    """Have a program keep something, as its user can."""
    subprocess.run([program.path, "set", service, username], input=value, text=True, check=True)


def plant(engine: Engine, kind: str, **params: str) -> None:
    """Write a vault as somebody can who has the directory and a key of their own making."""
    engine.directory.mkdir(mode=0o700, exist_ok=True)
    slot = wrap(kind, params, KEY, KEY, ID)
    path = engine.directory / "keyring.vault"
    path.write_bytes(serialise(Header(ID, "keyring", 1, 0, (slot,)), Body({}, ()), KEY))
    path.chmod(0o600)
    engine.opening.rescan(None)


async def stored(root: Path, program: Program) -> Engine:
    """Return an engine whose vault of `keyring` opens by a program, and holds a credential."""
    engine = Engine(root)
    header, _ = await engine.ask(
        "create", provider="subprocess", slot="program", program=str(program.path)
    )
    assert header["ok"] is True, header
    await engine.login(URL, b"secret", "subprocess")
    return engine


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("op", ["fetch", "list", "login", "unlock", "prepare", "create"])
async def test_a_vault_that_somebody_put_there_has_no_program_run(
    op: str, tmp_path: Path, folder: Path
) -> None:
    planted = noting(folder)
    engine = Engine(tmp_path)
    plant(engine, "program", program=str(planted.path), **OURS)
    arguments: dict[str, dict[str, Any]] = {
        "fetch": {"service": URL},
        "login": {"service": URL, "username": "ana", "provider": "keyring"},
        "prepare": {"provider": "subprocess"},
        "create": {"provider": "subprocess", "slot": "program"},
    }
    await engine.ask(op, b"x" if op == "login" else b"", **arguments.get(op, {}))
    assert engine.keyring.state == "closed"
    assert not planted.was_run


PLANTED: dict[str, tuple[str, dict[str, str]]] = {
    "an option for a service": ("program", {"service": "--eval=$(shell id)"}),
    "an option for a user name": ("program", {"username": "--help"}),
    "the item of something else": ("program", {"service": "https://bank.example/"}),
    "the item of another vault": ("program", {"username": f"{'0' * 32}-program"}),
    "the item of the other slot": ("program", {"username": ID}),
    "another program": ("program", {"program": "/usr/bin/make"}),
    "the chosen one by another path": ("program", {"program": "/usr/../{program}"}),
    "a keyring's item of something else": ("keyring", {"service": "login"}),
    "a keyring's item of another name": ("keyring", {"username": "root"}),
}


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("case", PLANTED)
async def test_a_header_chooses_neither_program_nor_item(
    case: str, tmp_path: Path, folder: Path
) -> None:
    chosen = noting(folder)
    kind, other = PLANTED[case]
    await stored(tmp_path, chosen)
    chosen.runs.unlink()
    params = {"program": str(chosen.path), **OURS}
    if kind == "keyring":
        params = {"service": "tokenward", "username": ID}
    params |= {key: value.format(program=chosen.path) for key, value in other.items()}
    again = Engine(tmp_path)
    plant(again, kind, **params)
    header, _ = await again.ask("fetch", service=URL)
    assert header["code"] == "locked"
    assert "The vault names" in str(header["message"]), header
    assert header["hint"]
    assert not chosen.was_run


@pytest.mark.usefixtures("bare")
async def test_a_vault_opens_where_the_state_folder_names_that_very_program(
    tmp_path: Path, folder: Path
) -> None:
    chosen = noting(folder)
    await stored(tmp_path, chosen)
    again = Engine(tmp_path)
    assert (await again.ask("fetch", service=URL))[1] == b"secret"
    for line in chosen.runs.read_text().splitlines():
        doing, *names = line.split(" ")
        assert doing in {"get", "set"}
        assert names[0] == "tokenward"
        assert names[1].endswith("-program")
        assert len(names) == 2


@pytest.mark.usefixtures("bare")
async def test_a_vault_from_before_opens_once_the_program_is_chosen_by_hand_or_by_config(
    tmp_path: Path, folder: Path
) -> None:
    program, other = noting(folder), noting(folder, "other")
    engine = await stored(tmp_path, program)
    chosen = engine.state / "keyring-program.json"
    chosen.unlink()  # as an older agent left it
    again = Engine(tmp_path)
    header, _ = await again.ask("fetch", service=URL)
    assert str(program.path) in str(header["message"])
    assert "was not chosen" in str(header["message"])
    assert header["hint"] == (
        "`auth unlock --keyring-provider subprocess` chooses the one on your PATH"
    )
    header, _ = await again.ask("unlock", provider="subprocess", program=str(other.path))
    assert (header["ok"], header["code"]) == (False, "provider")
    assert not other.was_run
    assert not chosen.exists()
    header, _ = await again.ask("unlock", provider="subprocess", program=str(program.path))
    assert header["opened"] == ["keyring"]
    assert (await Engine(tmp_path).ask("fetch", service=URL))[1] == b"secret"
    chosen.unlink()
    engine.config.write_text(f'keyring-program = "{program.path}"\n')
    assert (await Engine(tmp_path).ask("fetch", service=URL))[1] == b"secret"
    chosen.write_text(json.dumps({"program": str(other.path)}))
    engine.config.unlink()
    header, _ = await Engine(tmp_path).ask("fetch", service=URL)
    assert header["hint"] == "`keyring-program` in config.toml names the one to run"
    assert not other.was_run


@pytest.mark.usefixtures("bare")
async def test_a_program_that_has_moved_is_run_where_config_says_that_it_is(
    tmp_path: Path, folder: Path
) -> None:
    program = noting(folder)
    engine = await stored(tmp_path, program)
    moved = program.path.rename(folder / "keyring")
    header, _ = await Engine(tmp_path).ask("fetch", service=URL)
    assert "does not exist any more" in str(header["message"])
    engine.config.write_text(f'keyring-program = "{moved}"\n')
    again = Engine(tmp_path)
    assert (await again.ask("fetch", service=URL))[1] == b"secret"
    await again.ask("lock")
    assert (await again.ask("unlock", provider="subprocess"))[0]["opened"] == ["keyring"]


USES = ("start", "unlock", "adopted", "purge", "forget", "login")


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("now", ["file", "folder", "environment", "ours"])
async def test_a_program_is_judged_before_each_run(
    use: str, now: str, tmp_path: Path, folder: Path
) -> None:
    program = noting(folder)
    keep(program, "https://own.example/", "ana", "adopted")
    engine = await stored(tmp_path, program)
    adopted: dict[str, Any] = {"service": "https://own.example/", "username": "ana"}
    header, _ = await engine.ask(
        "login", provider="subprocess", adopt="https://own.example/", **adopted
    )
    assert header["ok"] is True, header
    engine.made.forget()
    if now in {"file", "folder"}:
        (program.path if now == "file" else program.path.parent).chmod(0o777)
    elif now == "environment":
        (program.path.parent / "pyvenv.cfg").touch()
    else:
        program.path.write_text(program.path.read_text() + "# The `keyring` of tokenward\n")
    program.runs.unlink()
    if use == "adopted":
        header, _ = await engine.ask("fetch", attended=True, **adopted)
        assert header["code"] == "provider"
    elif use == "purge":
        await engine.ask("logout", purge=True, **adopted)
    elif use == "forget":
        assert engine.keyring.header is not None
        slot = engine.keyring.header.slot("program")
        assert slot is not None
        await engine.keys.forget(slot, engine.keyring.header.vault_id, {})
    elif use == "login":
        await engine.ask("login", provider="subprocess", adopt="https://x.example/",
                         service="https://x.example/", username="ana")  # fmt: skip
    elif use == "unlock":
        engine.locking.close()
        await engine.ask("unlock", provider="subprocess")
    else:
        await Engine(tmp_path).ask("list")
    assert not program.was_run


@pytest.mark.parametrize("doing", ["get", "set", "delete", "read"])
@given(
    rest=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    at=st.sampled_from(["service", "username", "both"]),
)
@settings(max_examples=10, deadline=None)
def test_nothing_that_begins_with_a_dash_is_said_to_a_program(
    doing: str, rest: str, at: str
) -> None:
    option = f"-{rest}"
    header: dict[str, Any] = {"program": "/bin/true", "service": "s", "username": "u"}
    for key in ("service", "username") if at == "both" else (at,):
        header[key] = option
    if doing == "read":
        header["services"] = [header.pop("service")]
    with pytest.raises(JobError, match="cannot be asked for a name that begins with `-`"):
        program_jobs.work(f"program-{doing}", header, KEY)


@pytest.mark.usefixtures("bare")
async def test_an_adopted_credential_whose_user_name_is_an_option_is_refused(
    tmp_path: Path, folder: Path
) -> None:
    program = noting(folder)
    engine = await stored(tmp_path, program)
    program.runs.unlink()
    header, _ = await engine.ask(
        "login", service=URL, username="--eval=id", provider="subprocess", adopt=URL
    )
    assert header["code"] == "provider"
    assert "begins with `-`" in str(header["message"])
    assert not program.was_run


JOB = re.compile("program-(?!failed)")  # that one is a code of errors


def test_a_program_is_run_in_one_place_alone() -> None:
    """Find the next way past the judgement: whoever has a worker run a program, but that one."""
    root = Path(tokenward_agent.__path__[0])
    naming = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            words = [node.value] if isinstance(node, ast.Constant) else []
            if any(isinstance(word, str) and JOB.match(word) for word in words):
                naming.add(str(path.relative_to(root)))
    assert naming == {"store/keyring_program.py", "worker/main.py", "worker/program_jobs.py"}


@pytest.mark.usefixtures("bare")
async def test_a_choice_that_cannot_be_written_down_is_refused(
    tmp_path: Path, folder: Path
) -> None:
    program = noting(folder)
    engine = Engine(tmp_path)
    (engine.state / "keyring-program.json").mkdir()
    with pytest.raises(Failure, match="cannot be written"):
        await engine.creation.create("subprocess", "program", {}, NOTHING, str(program.path))
    assert not program.was_run
    assert engine.keyring.state == "absent"


@pytest.mark.parametrize("text", ["", "[]", '{"program": 7}', '{"program": null}', "{"])
async def test_a_damaged_choice_is_none(text: str, tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    (engine.state / "keyring-program.json").write_text(text)
    plant(engine, "program", program="/bin/true", **OURS)
    header, _ = await engine.ask("fetch", service=URL)
    assert "was not chosen" in str(header["message"])


async def test_the_key_of_the_planted_vault_would_have_opened_it(
    tmp_path: Path, folder: Path
) -> None:
    """Show that the vaults above are refused for what they say, and not for being broken."""
    program = noting(folder)
    keep(program, OURS["service"], OURS["username"], base64.b64encode(KEY).decode())
    engine = Engine(tmp_path)
    plant(engine, "program", program=str(program.path), **OURS)
    await engine.ask("unlock", provider="subprocess", program=str(program.path))
    assert engine.keyring.state == "open"
