"""Workers: real processes that answer, fail, hang and are ended, and what is left of them."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.inspection.processes import own_descriptors
from support.inspection.remote_debugging import is_deaf, needs_remote_exec
from support.waiting import until, until_in_loop
from tokenward_agent.arena import Arena
from tokenward_agent.worker import runner
from tokenward_agent.worker.runner import (
    _WORKER,
    WorkerError,
    run_job,
    worker_command,
    worker_environment,
)

KEY = bytes(range(32))
ARGON2ID = {"salt": b"somesalt", "memory": 256, "passes": 2, "lanes": 1}
ITEM = {"service": "tokenward", "username": "v"}


@pytest.fixture
def arena() -> Arena:
    return Arena(1 << 18)


def program(folder: Path, body: str) -> str:
    """Write a `keyring` program: Python that finds its arguments in `argv`."""
    folder.mkdir(exist_ok=True)
    path = folder / "keyring"
    path.write_text(f"#!{sys.executable} -I\nimport os, sys, time\nargv = sys.argv[1:]\n{body}\n")
    path.chmod(0o755)
    return str(path)


def ask(
    arena: Arena, job: str, header: dict[str, Any], secret: bytes = b"", seconds: float = 20
) -> tuple[dict[str, Any], bytes]:
    given, into = arena.allocate(len(secret)), arena.allocate(1 << 16)
    given[:] = secret
    try:
        answer = asyncio.run(run_job(arena, job, header, given, into, seconds, {}))
        return answer, bytes(into[: answer["size"]])
    finally:
        arena.release(given)
        arena.release(into)


def refused(arena: Arena, job: str, header: dict[str, Any], **options: Any) -> WorkerError:
    with pytest.raises(WorkerError) as error:
        ask(arena, job, header, **options)
    return error.value


def gone(pid: int) -> bool:
    """Wait for a process to have been reaped."""
    return until(lambda: not psutil.pid_exists(pid))


def test_a_passphrase_is_stretched_as_rfc_9106_says(arena: Arena) -> None:
    _, key = ask(arena, "argon2id", ARGON2ID, b"password")
    # The reference program: printf password | argon2 somesalt -id -t 2 -k 256 -p 1 -l 32 -r
    assert key.hex() == "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"


def test_the_caller_may_wipe_its_secret_while_the_worker_runs(arena: Arena) -> None:
    expected = ask(arena, "argon2id", ARGON2ID, b"password")[1]

    async def wiping() -> bytes:
        secret, into = arena.allocate(8), arena.allocate(32)
        secret[:] = b"password"
        task = asyncio.ensure_future(run_job(arena, "argon2id", ARGON2ID, secret, into, 20, {}))
        await asyncio.sleep(0)
        arena.release(secret)
        await task
        return bytes(into)

    assert asyncio.run(wiping()) == expected


def test_an_answer_longer_than_its_block_is_refused(arena: Arena) -> None:
    async def asking() -> None:
        await run_job(arena, "argon2id", ARGON2ID, arena.allocate(4), arena.allocate(31), 20, {})

    with pytest.raises(WorkerError, match="32 bytes instead of 31"):
        asyncio.run(asking())


def test_nothing_of_a_job_stays_in_the_arena(arena: Arena, tmp_path: Path) -> None:
    path = program(tmp_path, f"print({base64.b64encode(KEY).decode()!r})")
    ask(arena, "program-get", {"program": path, **ITEM}, b"a secret that is not used")
    refused(arena, "no-such-job", {}, secret=b"another secret")
    assert arena.free_bytes == len(arena.view)
    assert bytes(arena.view) == bytes(len(arena.view))


def test_an_unknown_job_is_an_error(arena: Arena) -> None:
    assert refused(arena, "no-such-job", {}).code == "bad-request"


def test_bad_parameters_are_an_error_that_quotes_nothing(arena: Arena) -> None:
    error = refused(arena, "argon2id", {**ARGON2ID, "memory": -1}, secret=b"made-up-passphrase")
    assert error.code == "worker"
    assert "made-up" not in str(error)


def test_a_worker_that_dies_is_an_error(arena: Arena, tmp_path: Path) -> None:
    path = program(tmp_path, "import signal; os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)")
    error = refused(arena, "program-get", {"program": path, **ITEM})
    assert str(error) == "A worker process ended without an answer."


# A program that starts another one, tells the numbers of both and its worker's, and hangs.
COUNT = """
mine = os.path.join({folder!r}, str(os.getpid()))
open(mine, "w").close()
time.sleep(0.2)  # the others may come meanwhile
with open(os.path.dirname({folder!r}) + "/seen", "a") as file: print(len(os.listdir({folder!r})), file=file)
os.unlink(mine)
print("x")
"""

HANG = """
child = os.fork()
if child == 0: time.sleep(600)
with open({told!r} + ".new", "w") as file: print(os.getppid(), os.getpid(), child, file=file)
os.rename({told!r} + ".new", {told!r})
time.sleep(600)
"""


async def told(path: Path) -> list[int]:
    await until_in_loop(path.exists)
    return [int(word) for word in path.read_text().split()]  # noqa: ASYNC240 - a line


async def reaped(pid: int) -> None:
    """Let the loop run until it has reaped its child."""
    await until_in_loop(lambda: not psutil.pid_exists(pid))


def test_a_hung_worker_is_killed_at_its_deadline_with_all_that_it_started(
    arena: Arena, tmp_path: Path
) -> None:
    numbers = tmp_path / "numbers"
    path = program(tmp_path, HANG.format(told=str(numbers)))
    before = own_descriptors()

    async def hanging() -> list[int]:
        with pytest.raises(WorkerError, match="within 5 seconds") as error:
            await run_job(arena, "program-get", {"program": path, **ITEM}, None, None, 5, {})
        assert error.value.code == "timeout"
        pids = await told(numbers)
        await reaped(pids[0])
        return pids

    assert all(gone(pid) for pid in asyncio.run(hanging()))
    assert own_descriptors() == before


def test_a_cancelled_job_leaves_nothing_behind(arena: Arena, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    path = program(tmp_path, HANG.format(told=str(numbers)))
    before = own_descriptors()

    async def cancelling() -> list[int]:
        job = run_job(arena, "program-get", {"program": path, **ITEM}, None, None, 600, {})
        task = asyncio.ensure_future(job)
        pids = await told(numbers)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await reaped(pids[0])
        return pids

    assert all(gone(pid) for pid in asyncio.run(cancelling()))
    assert own_descriptors() == before
    assert arena.free_bytes == len(arena.view)


def test_one_stuck_worker_does_not_hold_up_another(arena: Arena, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    path = program(tmp_path, HANG.format(told=str(numbers)))

    async def beside() -> bool:
        job = run_job(arena, "program-get", {"program": path, **ITEM}, None, None, 600, {})
        stuck = asyncio.ensure_future(job)
        await told(numbers)
        secret, into = arena.allocate(8), arena.allocate(32)
        await run_job(arena, "argon2id", ARGON2ID, secret, into, 20, {})
        unfinished = not stuck.done()
        stuck.cancel()
        await asyncio.wait([stuck])
        return unfinished

    assert asyncio.run(beside())


def test_of_one_kind_so_many_run_at_once_and_the_others_wait_their_turn(
    arena: Arena, tmp_path: Path
) -> None:
    path = program(tmp_path, COUNT.format(folder=str(tmp_path / "running")))
    (tmp_path / "running").mkdir()
    most = runner.AT_ONCE["program"]

    async def crowd() -> list[Any]:
        into = [arena.allocate(64) for _ in range(3 * most)]
        jobs = [
            run_job(arena, "program-get", {"program": path, **ITEM}, None, it, 50, {})
            for it in into
        ]
        return await asyncio.gather(*jobs, return_exceptions=True)

    found = asyncio.run(crowd())
    assert len(found) == 3 * most
    highest = [int(text) for text in (tmp_path / "seen").read_text().split()]
    assert len(highest) == 3 * most  # each of them ran
    assert 1 < max(highest) <= most


def test_a_worker_ends_itself_when_the_agent_is_gone(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    path = program(tmp_path, HANG.format(told=str(numbers)))
    agent = f"""
import asyncio, os
from tokenward_agent.arena import Arena
from tokenward_agent.worker.runner import run_job
async def main():
    header = {{"program": {path!r}, **{ITEM!r}}}
    task = asyncio.ensure_future(run_job(Arena(65536), "program-get", header, None, None, 1, {{}}))
    while not os.path.exists({str(numbers)!r}): await asyncio.sleep(0.01)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    started = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-I", "-c", agent])
    assert started == -9
    assert all(gone(int(pid)) for pid in numbers.read_text().split()[1:])


def test_the_real_keyring_program_stores_and_reads_a_key(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "filed.py").write_text(
        "import json, os, keyring.backend\n"
        f"PATH = {str(tmp_path / 'items')!r}\n"
        "class Filed(keyring.backend.KeyringBackend):\n"
        "    priority = 1\n"
        "    def items(self): return json.load(open(PATH)) if os.path.exists(PATH) else {}\n"
        "    def write(self, items): json.dump(items, open(PATH, 'w'))\n"
        "    def get_password(self, s, u): return self.items().get(s + ' ' + u)\n"
        "    def set_password(self, s, u, p): self.write({**self.items(), s + ' ' + u: p})\n"
        "    def delete_password(self, s, u):\n"
        "        items = self.items(); del items[s + ' ' + u]; self.write(items)\n"
        "    def get_credential(self, s, u):\n"
        "        for key, value in self.items().items():\n"
        "            if key.split()[0] == s: return keyring.credentials.SimpleCredential(\n"
        "                key.split()[1], value)\n"
    )
    config = tmp_path / "python_keyring"
    config.mkdir()
    (config / "keyringrc.cfg").write_text(
        f"[backend]\ndefault-keyring=filed.Filed\nkeyring-path={tmp_path}\n"
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    header = {"program": str(Path(sys.executable).with_name("keyring")), **ITEM}
    assert refused(arena, "program-get", header).code == "not-found"
    ask(arena, "program-set", header, KEY)
    assert ask(arena, "program-get", header)[1] == KEY
    services = {"program": header["program"], "services": ["https://no.example/", "tokenward"]}
    answer, secret = ask(arena, "program-read", {**services, "username": "v"})
    assert (answer["username"], answer["service"]) == ("v", "tokenward")
    assert base64.b64decode(secret) == KEY
    ask(arena, "program-delete", header)
    assert refused(arena, "program-get", header).code == "not-found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("print('no key at all')", "keyring-failed"),
        ("print('c2hvcnQ=')", "keyring-failed"),
        ("sys.stdout.buffer.write(bytes(range(256)))", "keyring-failed"),
        ("while True: sys.stdout.write('x' * 65536)", "program-failed"),
        ("sys.exit(3)", "program-failed"),
        ("print('leaked'); sys.exit(1)", "program-failed"),
        ("sys.exit(1)", "not-found"),
    ],
)
def test_a_program_that_misbehaves_is_refused_and_not_quoted(
    body: str, code: str, arena: Arena, tmp_path: Path
) -> None:
    error = refused(arena, "program-get", {"program": program(tmp_path, body), **ITEM})
    assert error.code == code
    assert "leaked" not in str(error)


def test_a_program_that_is_gone_is_named_with_what_helps(arena: Arena, tmp_path: Path) -> None:
    error = refused(arena, "program-get", {"program": str(tmp_path / "keyring"), **ITEM})
    assert (error.code, "--keyring-provider" in error.hint) == ("program-failed", True)
    assert str(tmp_path / "keyring") in str(error)


def test_a_program_gets_the_key_on_stdin_alone(arena: Arena, tmp_path: Path) -> None:
    body = (
        "given = sys.stdin.read(); told = open('%s', 'w')\n"
        "print(given, argv, dict(os.environ), os.getcwd(), os.listdir('/dev/fd'), file=told)"
    )
    seen = tmp_path / "seen"
    header = {"program": program(tmp_path / "bin", body % seen), **ITEM}
    ask(arena, "program-set", header, KEY)
    text = base64.b64encode(KEY).decode()
    assert seen.read_text().startswith(f"{text}\n ['set', 'tokenward', 'v'] ")
    assert seen.read_text().count(text) == 1


def test_a_program_is_not_given_a_terminal_to_ask_on(arena: Arena, tmp_path: Path) -> None:
    body = (
        "try: open('/dev/tty')\nexcept OSError: tty = False\nelse: tty = True\n"
        "open(%r, 'w').write(f'{tty} {sys.stdin.read()!r} {os.getcwd()}')"
    )
    seen = tmp_path / "seen"
    header = {"program": program(tmp_path / "bin", body % str(seen)), **ITEM}
    refused(arena, "program-get", header)
    assert seen.read_text() == "False '' /"


def test_a_worker_gets_the_variables_of_a_session_and_no_others() -> None:
    own = {
        "HOME": "/home/ada",
        "LC_ALL": "C",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "DISPLAY": ":0",
        "TOKENWARD_PASSPHRASE_FILE": "/p",
        "UV_PUBLISH_TOKEN": "made-up",
        "LD_PRELOAD": "/x.so",
        "PYTHON_KEYRING_BACKEND": "tokenward.keyring_backend.Keyring",
    }
    asker = {"DISPLAY": ":1", "PATH": "/evil", "LD_PRELOAD": "/y.so"}
    assert worker_environment(own, asker) == {
        "HOME": "/home/ada",
        "LC_ALL": "C",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "DISPLAY": ":1",
    }


@needs_remote_exec
@pytest.mark.parametrize("job", ["argon2id", "keyring-get"])
def test_a_worker_is_deaf_to_code_from_outside(job: str) -> None:
    command = worker_command(job)
    assert is_deaf(command[: command.index(_WORKER)])


def test_a_keyring_backend_that_the_user_chose_is_passed_on() -> None:
    own = {"PYTHON_KEYRING_BACKEND": "keyring.backends.kwallet.DBusKeyring"}
    assert worker_environment(own, {}) == own


def test_the_agent_loads_neither_keyring_nor_ssl_to_use_workers() -> None:
    program = (
        "import sys; sys.modules['ssl'] = None\n"
        "import tokenward_agent.store.providers, tokenward_agent.worker.runner\n"
        "print([m for m in ('keyring', '_ssl', 'secretstorage', 'jeepney') if m in sys.modules])"
    )
    said = subprocess.check_output([sys.executable, "-I", "-c", program], text=True)
    assert said == "[]\n"
