"""Workers on Windows: fed from locked memory, read into it, and ended with all that they started."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

assert sys.platform == "win32"

from tokenward_agent.arena import Arena
from tokenward_agent.vault.sealing import fill_random
from tokenward_agent.windows import dpapi
from tokenward_agent.windows.loop import PipeLoop
from tokenward_agent.worker.runner import WorkerError, run_job

if TYPE_CHECKING:
    from collections.abc import Coroutine

SECONDS = 120.0


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=PipeLoop) as runner:
        return runner.run(work)


def test_memory_for_secrets_is_locked() -> None:
    arena = Arena()
    assert arena.kind == "VirtualLock"
    block = arena.allocate(64)
    fill_random(block)
    assert any(block)
    arena.release(block)
    assert not any(arena.view)


def test_a_passphrase_is_stretched_to_the_key_that_every_system_gets() -> None:
    arena = Arena()
    phrase, key = arena.allocate(13), arena.allocate(32)
    phrase[:] = b"correct horse"
    salt = bytes(range(16))
    header = {"salt": salt, "memory": 8192, "passes": 1, "lanes": 1}
    finished(run_job(arena, "argon2id", header, phrase, key, SECONDS, {}))
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=8192)
    assert key.hex() == kdf.derive(b"correct horse").hex()


def test_the_credential_store_keeps_a_key() -> None:
    arena = Arena()
    key, back = arena.allocate(32), arena.allocate(32)
    fill_random(key)
    item = {"service": "tokenward-test", "username": os.urandom(8).hex()}

    async def keep() -> None:
        assert (await run_job(arena, "keyring-probe", {}, None, None, SECONDS, {}))[
            "backend"
        ] == "Windows Credential Store"
        await run_job(arena, "keyring-set", item, key, None, SECONDS, {})
        await run_job(arena, "keyring-get", item, None, back, SECONDS, {})
        assert back == key
        await run_job(arena, "keyring-delete", item, None, None, SECONDS, {})
        with pytest.raises(WorkerError) as caught:
            await run_job(arena, "keyring-get", item, None, back, SECONDS, {})
        assert caught.value.code == "not-found"

    finished(keep())


def test_a_worker_that_is_late_has_ended_before_its_memory_is_given_back() -> None:
    arena = Arena()
    phrase, key = arena.allocate(13), arena.allocate(32)
    free = arena.free_bytes
    header = {"salt": bytes(16), "memory": 1024 * 1024, "passes": 16, "lanes": 1}
    with pytest.raises(WorkerError) as caught:
        finished(run_job(arena, "argon2id", header, phrase, key, 0.5, {}))
    assert caught.value.code == "timeout"
    assert arena.free_bytes == free


def test_dpapi_gives_back_what_it_was_given_and_takes_nothing_else() -> None:
    secret, back = memoryview(bytearray(b"k" * 32)), memoryview(bytearray(32))
    protected = dpapi.protect(secret)
    assert bytes(secret) not in protected
    assert dpapi.open_into(protected, back) == 32
    assert back == secret
    changed = bytearray(protected)
    changed[-1] ^= 1
    with pytest.raises(OSError):
        dpapi.open_into(bytes(changed), back)
    with pytest.raises(ValueError, match="longer than its place"):
        dpapi.open_into(protected, back[:16])


def test_places_are_those_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs.windows import Windows

    from tokenward_protocol import places

    theirs = Windows("tokenward", appauthor=False)
    home = str(Path.home())
    for environ in (dict(os.environ), {}):
        ours = [
            find("win32", environ, home)
            for find in (places.data_directory, places.state_directory, places.config_directory)
        ]
        assert ours == [theirs.user_data_dir, theirs.user_state_dir, theirs.user_config_dir]


def test_the_structures_have_the_sizes_of_the_headers() -> None:
    from tokenward_agent.windows import process
    from tokenward_os.windows import calls

    assert ctypes.sizeof(calls.Overlapped) == 32
    assert ctypes.sizeof(calls.SecurityAttributes) == 24
    assert ctypes.sizeof(dpapi._Blob) == 16
    assert ctypes.sizeof(process._Limits) == 144


def test_a_machine_does_not_sleep_between_two_looks() -> None:
    from tokenward_agent.clock import SystemClock

    first = SystemClock().asleep_seconds()
    assert first >= 0
    assert SystemClock().asleep_seconds() - first < 1
