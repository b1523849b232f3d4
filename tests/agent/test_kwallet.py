"""KWallet, for real, through the library's own backend.

Needs the Debian package libkf5wallet-bin and, in the interpreter that runs the tests, dbus-python
(which is built from source: libdbus-1-dev, libglib2.0-dev, a compiler). Skipped without them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.systems.desktop_keyrings import close_wallet, kwallet
from tokenward_agent.arena import Arena
from tokenward_agent.store.providers import probe_keyring
from tokenward_agent.worker.runner import WorkerError, run_job

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("dbus", reason="needs dbus-python")

ITEM = {"service": "tokenward", "username": "0123456789abcdef"}


def test_kwallet_keeps_a_key_and_a_closed_wallet_asks_nobody_when_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = Arena(1 << 16)
    key, into = arena.allocate(32), arena.allocate(32)
    key[:] = bytes(range(32))

    async def story() -> None:
        assert (await probe_keyring(arena, {}, 0)).backend == "KWallet"
        await run_job(arena, "keyring-set", ITEM, key, None, 20, {})
        answer = await run_job(arena, "keyring-get", ITEM, None, into, 20, {})
        assert (answer["backend"], into) == ("KWallet", key)
        await run_job(arena, "keyring-delete", ITEM, None, None, 20, {})
        with pytest.raises(WorkerError, match="does not have the vault's key"):
            await run_job(arena, "keyring-get", ITEM, None, into, 20, {})
        close_wallet(session)
        assert (await probe_keyring(arena, {}, 0)).reason == "The system keyring is locked."

    with kwallet(tmp_path) as session:
        for name, value in session.environ.items():
            monkeypatch.setenv(name, value)
        asyncio.run(story())
