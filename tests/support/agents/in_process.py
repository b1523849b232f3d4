"""An agent without its socket: the real parts over real files, with a clock that tests turn.

Both vaults can be made with a key file each, so that nothing here waits for a keyring or for the
stretching of a passphrase unless a test wants that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.arena import Arena
from tokenward_agent.assembly import Assembly
from tokenward_agent.harden import HardenReport
from tokenward_agent.settings import Settings
from tokenward_agent.store.derived_tokens import limits_of
from tokenward_agent.store.lookup import candidates, choose_stored
from tokenward_agent.vault.format import new_vault_id
from tokenward_agent.wire.answer import Answer
from tokenward_agent.wire.request import Request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_agent.vault.record import Record
    from tokenward_agent.vault.vault import Vault
    from tokenward_protocol.packing import Value

START = 1_790_000_000


class ManualClock:
    """A clock that stands still until a test turns it."""

    def __init__(self) -> None:
        self.wall_now = START
        self.boot_now = 1000
        self.slept_for = 0.0
        self.boot_name = "monday"

    def wall(self) -> int:
        return self.wall_now

    def boot(self) -> int:
        return self.boot_now

    def asleep_seconds(self) -> float:
        return self.slept_for

    def boot_id(self) -> str:
        return self.boot_name

    def pass_by(self, seconds: int) -> None:
        self.wall_now += seconds
        self.boot_now += seconds


class Engine:
    """All parts of one agent. Made and used inside of a running loop."""

    def __init__(self, root: Path, clock: ManualClock | None = None) -> None:
        self.root = root
        self.directory, self.state = root / "credentials", root / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.clock = clock or ManualClock()
        self.arena = Arena(1 << 20)
        self.config = root / "config.toml"
        settings = Settings(
            str(self.directory), str(self.state), str(root / "agent.sock"), None, str(self.config)
        )
        assembly = Assembly(settings, HardenReport(), self.arena, self.clock, lambda: None)
        self.vaults, self.keys, self.changes = assembly.vaults, assembly.keys, assembly.changes
        self.opening, self.locking = assembly.opening, assembly.locking
        self.creation, self.choice, self.adopted = (
            assembly.creation,
            assembly.choice,
            assembly.adopted,
        )
        self.made = assembly.made
        self.derived_tokens = assembly.derived_tokens
        self.dispatch = assembly.dispatch
        self.log, self.audit_anchoring = assembly.log, assembly.audit_anchoring
        self.authorizer, self.share_requests = assembly.authorizer, assembly.share_requests
        self.declared_shares = assembly.declared_shares
        self.run_requests = assembly.run_requests
        self.auto_lock = assembly.auto_lock
        self.quiet = self.arena.free_bytes

    @property
    def keyring(self) -> Vault:
        return self.vaults.each["keyring"]

    @property
    def disabled(self) -> Vault:
        return self.vaults.each["disabled"]

    async def make(self, provider: str) -> Vault:
        """Make a provider's vault, opened by a key file."""
        vault, name = self.vaults.each[provider], new_vault_id()
        params, key = await self.keys.make("key-file", name, {})
        now = self.clock.wall()
        with self.keys.borrow(key):
            async with self.vaults.changing:
                await self.vaults.change(
                    vault, lambda: vault.create("key-file", params, key, now, name)
                )
        return vault

    async def make_both(self) -> None:
        await self.make("keyring")
        await self.make("disabled")

    async def open(self, *providers: str) -> None:
        """Open these vaults with their key files, one after the other."""
        for provider in providers:
            vault = self.vaults.each[provider]
            assert vault.header is not None
            slot = vault.header.slot("key-file")
            assert slot is not None
            await self.opening.open(vault, slot, {}, None, self.vaults.closings)

    async def login(
        self,
        service: str,
        secret: bytes,
        provider: str = "disabled",
        username: str = "ana",
        lifetime: int | None = None,
    ) -> bool:
        block = memoryview(bytearray(secret))
        limits = limits_of(self.derived_tokens.read_open_token(block))
        before = await self.changes.login(
            service, username, block, provider, lifetime=lifetime, limits=limits
        )
        return before is not None

    def fetch(
        self, service: str, username: str | None = None, provider: str | None = None
    ) -> bytes | None:
        """Return the secret that the open vaults answer with, None if they have none."""
        found = choose_stored(
            self.vaults.account(candidates(service), username, provider), self.vaults.entry
        )
        if found is None:
            return None
        sealed = found.secret()
        out = bytearray(sealed.size)
        sealed.open_into(memoryview(out))
        return bytes(out)

    async def ask(
        self, op: str, body: bytes = b"", **arguments: str | int | bool
    ) -> tuple[dict[str, Value], bytes]:
        """Put one request and return the answer's header and open secret."""
        answer = self.dispatch(Request(op, 7, "", arguments), memoryview(bytearray(body)))
        if not isinstance(answer, Answer):
            answer = await answer
        out = bytearray(0 if answer.secret is None else answer.secret.size)
        if answer.secret is not None:
            answer.secret.open_into(memoryview(out))
        return unpack(answer.header), bytes(out)


def on_disk(directory: Path) -> bytes:
    """Return every byte of every file there."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


class OfNoVault:
    """What holds records here: a lookup opens no secret and notes no use."""

    provider = "none"

    def open_secret(self, record: Record, out: memoryview, /) -> int:
        raise AssertionError

    def use(self, record: Record, wall: int, /) -> None:
        raise AssertionError
