"""The parts of one agent, assembled in the order of their dependencies.

It has everything of an agent except its socket and its loop; nothing here opens a file or waits.
"""

from __future__ import annotations

import os

from tokenward_agent.asking.folders import Folders
from tokenward_agent.audit.log import AuditLog
from tokenward_agent.consent.person import Person
from tokenward_agent.policy.file import PolicyFile
from tokenward_agent.requests.agent import AgentRequests
from tokenward_agent.requests.credentials import CredentialRequests
from tokenward_agent.requests.dispatch import Dispatch
from tokenward_agent.requests.fetch import Fetch
from tokenward_agent.requests.gate import Gate
from tokenward_agent.requests.knowing import Knowing
from tokenward_agent.requests.log import LogRequests
from tokenward_agent.requests.recording import Recorder
from tokenward_agent.requests.share_life import ShareLife
from tokenward_agent.requests.shared import (
    SharedFetch,
    SharedGate,
    Unknowing,
    Unopening,
    quick,
)
from tokenward_agent.requests.sharing import Sharing
from tokenward_agent.requests.vaults import VaultRequests
from tokenward_agent.session.auto_lock import AutoLock
from tokenward_agent.store.adopted import AdoptedSecrets
from tokenward_agent.store.anchoring import Anchoring
from tokenward_agent.store.changes import Changes
from tokenward_agent.store.children import Children
from tokenward_agent.store.creation import Creation
from tokenward_agent.store.credential import Credential
from tokenward_agent.store.index_clocks import IndexClocks
from tokenward_agent.store.keyring_program import KeyringProgram
from tokenward_agent.store.lock_marker import LockMarker
from tokenward_agent.store.locking import Locking
from tokenward_agent.store.opening import Opening
from tokenward_agent.store.process_key import ProcessKey
from tokenward_agent.store.provider_choice import ProviderChoice
from tokenward_agent.store.restoring import Restoring
from tokenward_agent.store.slot_keys import SlotKeys
from tokenward_agent.store.vaults import Vaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.harden import Report
    from tokenward_agent.requests.shared import Share
    from tokenward_agent.settings import Settings


class Parts:
    """One agent; `stop` ends it."""

    def __init__(
        self,
        settings: Settings,
        report: Report,
        arena: Arena,
        clock: Clock,
        stop: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._arena = arena
        state = settings.state
        marker = LockMarker(state)
        self.vaults = Vaults(settings.directory, state, arena, clock)
        self.policy = PolicyFile(settings.config)
        program = KeyringProgram(state, arena, self._configured_program)
        self.keys = SlotKeys(state, arena, Credential(settings.credentials, arena), program)
        self.changes = Changes(self.vaults, state)
        self.opening = Opening(self.vaults, self.changes, self.keys, marker)
        self.locking = Locking(self.vaults, self.opening, marker)
        self.creation = Creation(self.vaults, self.changes, self.keys, arena)
        self.choice = ProviderChoice(self.vaults, state, arena, program)
        memory = ProcessKey(arena)
        self.adopted = AdoptedSecrets(arena, clock, memory, program)
        self.children = Children(arena, memory, IndexClocks(clock))
        self.log = AuditLog(state, arena, clock)
        self.anchoring = Anchoring(self.vaults, self.log)
        self.recorder = Recorder(self.log, self.anchoring)
        knowing = Knowing(Folders())
        self.auto_lock = AutoLock(
            clock,
            self.policy,
            is_open=lambda: any(each.state == "open" for each in self.vaults.each.values()),
            note=lambda why: self.recorder.event("lock", decision="done", why=why),
            vouch=self.anchoring.now,
            close=self._close,
        )
        self.opening.elsewhere.when_locked = self._locked_elsewhere
        self.gate = Gate(self.policy, Person(arena), self.vaults, settings.pinentry)
        fetch = Fetch(self.vaults, self.opening, self.adopted, self.children, knowing, self.gate)
        self.sharing = Sharing(
            self.vaults,
            ShareLife(self.vaults, self.opening, self.policy),
            self.children,
            fetch,
            self._dispatch_of,
            lambda path, why: self.recorder.event(
                "unshare", decision="done", stopped=[path], why=why
            ),
            os.path.dirname(settings.socket),
        )
        self.vaults.when_changed = self.sharing.look
        self.agent = agent = AgentRequests(
            settings,
            report,
            arena,
            self.vaults,
            self.opening,
            self.auto_lock,
            self.children,
            self.log,
            self.gate,
            self.sharing,
            stop,
        )
        credentials = CredentialRequests(
            self.vaults, self.changes, self.opening, self.choice, self.adopted, self.children
        )
        vaults = VaultRequests(
            self.vaults,
            self.opening,
            self.locking,
            self.creation,
            self.choice,
            program,
            self.adopted,
            Restoring(self.vaults, self.opening),
        )
        self.dispatch = Dispatch(
            settings.directory,
            arena,
            self.opening.elsewhere,
            fetch,
            self.recorder,
            self.auto_lock.asked,
            quick={
                "hello": agent.hello,
                "clock": agent.clock,
                "status": agent.status,
                "stop": agent.stop,
                "unshare": self.sharing.unshare,
            },
            slow={
                "describe": fetch.describe,
                "list": agent.list,
                "login": self.sharing.telling(credentials.login),
                "logout": self.sharing.telling(credentials.logout),
                "prepare": vaults.prepare,
                "create": vaults.create,
                "lock": self.recorder.before(self.sharing.telling(vaults.lock)),
                "unlock": vaults.unlock,
                "passphrase": self.sharing.telling(vaults.passphrase),
                "restore": vaults.restore,
                "share": self.sharing.share,
                "log": LogRequests(self.log, self.vaults, self.opening, arena).log,
            },
        )

    def _configured_program(self) -> str:
        """Return the `keyring` program that config.toml names now, "" if it names none."""
        self.policy.look(self.vaults.clock.wall())
        return self.policy.policy.keyring_program

    def _close(self) -> None:
        """Destroy all keys and secrets, as a lock does."""
        self.adopted.forget()
        self.locking.close()

    def _locked_elsewhere(self) -> None:
        """Lock because another agent of the directory locked."""
        self.recorder.event("lock", decision="done", why="elsewhere")
        self.sharing.end("lock")  # even if that lock is over already
        self._close()

    def _dispatch_of(self, share: Share) -> Dispatch:
        """Return the dispatch of a shared socket."""
        gate = SharedGate(self.gate, self.vaults.clock, share)
        fetch = Fetch(
            self.vaults,
            Unopening(self.opening.elsewhere),
            self.adopted,
            self.children,
            Unknowing(),
            gate,
        )
        return Dispatch(
            self._settings.directory,
            self._arena,
            self.opening.elsewhere,
            SharedFetch(share, fetch, self.vaults.clock, self.sharing.require),
            Recorder(self.log, self.anchoring, share.path),
            lambda _op: self.auto_lock.asked(""),  # requests there keep no vault open
            quick=quick(),
            slow={},
        )
