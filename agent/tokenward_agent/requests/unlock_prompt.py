"""`unlock = "prompt"` in config.toml: ask for the passphrase of a vault that a tool finds closed.

A vault that a passphrase opens is closed after a reboot and after an automatic lock, and tools get
nothing until the user opens it. With this setting the agent asks the user, by a pinentry on the
desktop that the tool runs on, and then answers the tool.

It asks once a minute at most, whatever the user answers, and only for a service of which something
may be stored. It does not ask after `auth lock`, which means that nothing is to be opened; without a
graphical session, where `auth unlock` is the way; and never for a share or a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenward_agent.failure import Failure
from tokenward_agent.peer.peer import Peer
from tokenward_agent.prompt.prompter import PromptContext
from tokenward_agent.prompt.question import requester_name, shorten
from tokenward_agent.requests.naming import service_of, session_variables
from tokenward_agent.store.key_files import MAX_SIZE
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.arena import Arena
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.prompt.prompter import Prompter
    from tokenward_agent.requests.dispatch import FetchHandler
    from tokenward_agent.store.locking import Locking
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.vault import Vault
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request

REST_SECONDS: Final = 60
"""Seconds from a prompt to the next one."""

_TRIES: Final = 3
"""How often the user may type a passphrase in one prompt."""


class UnlockingFetch:
    """Fetches that may ask the user to open a vault first; `note` is told of one that was opened."""

    def __init__(
        self,
        fetch: FetchHandler,
        vaults: Vaults,
        opening: Opening,
        locking: Locking,
        policy: PolicyFile,
        prompter: Prompter,
        pinentry: str,
        arena: Arena,
        note: Callable[[], None],
    ) -> None:
        self._fetch = fetch
        self._vaults, self._opening, self._locking = vaults, opening, locking
        self._policy, self._prompter, self._pinentry = policy, prompter, pinentry
        self._arena, self._note = arena, note
        self._asked: int | None = None  # when, by the clock since boot

    def try_fetch(self, request: Request) -> Answer | None:
        """Answer at once; return None if the fetch has to wait. Raises Failure."""
        try:
            return self._fetch.try_fetch(request)
        except Failure as failure:
            if self._may_ask(request, failure):
                return None
            raise

    async def fetch(self, request: Request, body: memoryview) -> Answer:
        """Answer, after the user has opened the vault if that helps. Raises Failure."""
        try:
            return await self._fetch.fetch(request, body)
        except Failure as failure:
            if not self._may_ask(request, failure):
                raise
        if not request.flag("attended"):
            raise Failure(
                "consent", "The vault needs its passphrase.", "ask with `attended`, and wait"
            )
        await self._ask(request)
        return await self._fetch.fetch(request, body)

    def _may_ask(self, request: Request, failure: Failure) -> bool:
        """Tell whether the user may be asked now, for a fetch that failed so."""
        if failure.code != "locked" or failure.more.get("stored") is False:
            return False
        self._policy.reload(self._vaults.clock.wall())
        settings = self._policy.policy
        if not settings.prompts_to_unlock or self._policy.problem or self._opening.is_locked:
            return False
        if not self._has_rested:
            return False
        if request.flag("attended") and not _screen(request).has_display:
            return False
        return bool(self._closed(request))

    @property
    def _has_rested(self) -> bool:
        asked = self._asked
        return asked is None or self._vaults.clock.boot() - asked >= REST_SECONDS

    def _closed(self, request: Request) -> list[Vault]:
        """Return the vaults of a request that a passphrase would open."""
        return [
            vault
            for vault in self._vaults.not_open(request.text("provider"))
            if vault.state == "closed" and self._opening.opening_needs(vault) == "passphrase"
        ]

    async def _ask(self, request: Request) -> None:
        """Ask for the passphrase and open the vaults with it. Raises Failure."""
        async with self._prompter.turn() as end:
            if not self._has_rested or not self._closed(request):  # another tool's prompt
                return
            self._asked = self._vaults.clock.boot()
            lines = _lines(request)
            block = self._arena.allocate(MAX_SIZE)
            try:
                for _ in range(_TRIES):
                    size = await self._prompter.ask_passphrase(
                        lines,
                        _screen(request),
                        self._pinentry or self._policy.policy.pinentry,
                        end,
                        request.peer.descriptor if isinstance(request.peer, Peer) else None,
                        block,
                    )
                    if not size or self._opening.is_locked:
                        return
                    if await self._opens(request, block[:size]):
                        self._note()
                        return
                    lines = ["That passphrase does not open the vault.", *_lines(request)]
            finally:
                self._arena.release(block)

    async def _opens(self, request: Request, passphrase: memoryview) -> bool:
        """Tell whether a passphrase opens the vaults of a request. Raises Failure."""
        provider, session = request.text("provider"), session_variables(request)
        try:
            await self._locking.unlock(provider, passphrase, session)
        except Failure as failure:
            if failure.code != "wrong-passphrase":
                raise
            return False
        return True


def _screen(request: Request) -> PromptContext:
    return PromptContext(session_variables(request), "", "")


def _lines(request: Request) -> list[str]:
    peer = request.peer
    who = requester_name(peer.requester) if isinstance(peer, Peer) else "An unknown program"
    return [
        f"{who} wants the credential for {shorten(display(service_of(request)))}.",
        "The passphrase of your tokenward vault opens it.",
    ]
