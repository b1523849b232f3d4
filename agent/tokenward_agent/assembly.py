"""The parts of one agent, assembled in the order of their dependencies.

It has everything of an agent except its socket and its loop; nothing here opens a file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokenward_agent.audit.log import AuditLog
from tokenward_agent.policy.file import PolicyFile
from tokenward_agent.prompt.prompter import Prompter
from tokenward_agent.requests.agent import AgentRequests, Uses
from tokenward_agent.requests.authorization import Authorizer
from tokenward_agent.requests.capability import RelayStarter
from tokenward_agent.requests.credentials import CredentialRequests
from tokenward_agent.requests.declared_shares import DeclaredShares
from tokenward_agent.requests.dispatch import ChosenFetch, Dispatch
from tokenward_agent.requests.fetch import Fetch
from tokenward_agent.requests.index_requests import IndexRequests
from tokenward_agent.requests.log import LogRequests
from tokenward_agent.requests.overview import describe_protections
from tokenward_agent.requests.project_detection import ProjectDetector, ProjectFolders
from tokenward_agent.requests.recipes import RecipeRequests, asker_behind
from tokenward_agent.requests.recording import Recorder
from tokenward_agent.requests.relay_sharing import RelayShares, refuse_stream
from tokenward_agent.requests.runs import RunRequests
from tokenward_agent.requests.share_answers import (
    NoDetection,
    NoOpening,
    ShareAuthorizer,
    SharedMade,
    fetch_handlers,
)
from tokenward_agent.requests.sharing import ShareRequests
from tokenward_agent.requests.unlock_prompt import UnlockingFetch
from tokenward_agent.requests.vaults import VaultRequests
from tokenward_agent.session.auto_lock import AutoLock
from tokenward_agent.store.adopted import AdoptedSecrets
from tokenward_agent.store.audit_anchoring import AuditAnchoring
from tokenward_agent.store.changes import Changes
from tokenward_agent.store.creation import Creation
from tokenward_agent.store.derived_tokens import DerivedTokens, IndexClocks
from tokenward_agent.store.key_files import ServiceCredential
from tokenward_agent.store.keyring_program import KeyringProgram
from tokenward_agent.store.lock_marker import LockMarker
from tokenward_agent.store.locking import Locking
from tokenward_agent.store.made_secrets import MadeSecrets
from tokenward_agent.store.memory_records import ProcessKey
from tokenward_agent.store.opening import Opening
from tokenward_agent.store.own_credential import OwnCredential
from tokenward_agent.store.providers import ProviderChoice
from tokenward_agent.store.slot_keys import SlotKeys
from tokenward_agent.store.vaults import Vaults
from tokenward_protocol.messages import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.harden import HardenReport
    from tokenward_agent.policy.recipe_settings import ConfiguredRecipe
    from tokenward_agent.requests.dispatch import AsyncHandler, SyncHandler
    from tokenward_agent.requests.share_answers import Share
    from tokenward_agent.settings import Settings
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value


class Assembly:
    """One agent; `stop` ends it."""

    def __init__(
        self,
        settings: Settings,
        report: HardenReport,
        arena: Arena,
        clock: Clock,
        stop: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._arena = arena
        state = settings.state
        marker = LockMarker(state)
        self.policy = PolicyFile(settings.config)
        self.vaults = Vaults(settings.directory, state, arena, clock, self._configured_recipes)
        program = KeyringProgram(state, arena, self._configured_program)
        self.keys = SlotKeys(state, arena, ServiceCredential(settings.credentials, arena), program)
        self.changes = Changes(self.vaults, state)
        self.opening = Opening(self.vaults, self.changes, self.keys, marker)
        self.locking = Locking(self.vaults, self.opening, marker)
        self.creation = Creation(self.vaults, self.changes, self.keys, arena)
        self.choice = ProviderChoice(self.vaults, state, arena, program)
        memory = ProcessKey(arena)
        self.adopted = AdoptedSecrets(arena, self.vaults.each, self.vaults.memory, program)
        self.derived_tokens = DerivedTokens(arena, memory, IndexClocks(clock))
        self.vaults.read_limits = self.derived_tokens.read_limits
        self.made = MadeSecrets(
            arena,
            memory,
            self.vaults.recipes,
            self.adopted,
            self.vaults.now,
            {**self.vaults.each, MEMORY: self.vaults.memory},
            self.derived_tokens.admit,
            lambda: self.opening.is_locked,
            self._record_run_of_recipe,
            asker_behind,
        )
        self.log = AuditLog(state, arena, clock)
        self.audit_anchoring = AuditAnchoring(self.vaults, self.log)
        self.recorder = Recorder(self.log, self.audit_anchoring)
        detector = ProjectDetector(ProjectFolders())
        self.auto_lock = AutoLock(
            clock,
            self.policy,
            is_open=lambda: any(each.state == "open" for each in self.vaults.each.values()),
            note=lambda why: self.recorder.record_event("lock", decision="done", why=why),
            anchor=self.audit_anchoring.anchor_now,
            close=self._destroy_keys,
        )
        self.opening.other_agents.when_locked = self._lock_as_elsewhere
        prompter = Prompter(arena)
        self.authorizer = Authorizer(self.policy, prompter, self.vaults, settings.pinentry)
        fetch = Fetch(
            self.vaults,
            self.opening,
            self.made,
            self.derived_tokens,
            detector,
            self.authorizer,
        )
        self.share_requests = ShareRequests(
            self.vaults,
            self.opening,
            self.policy,
            self.derived_tokens,
            fetch,
            self._make_share_dispatch,
            lambda path, why: self.recorder.record_event(
                "unshare", decision="done", stopped=[path], why=why
            ),
            os.path.dirname(settings.socket),
        )
        self.vaults.observers.append(self.share_requests.end_finished)

        def run_fetch(vaults: Vaults | OwnCredential) -> Fetch:
            return Fetch(
                vaults,
                NoOpening(self.opening.other_agents),
                self.made,
                self.derived_tokens,
                NoDetection(),
                self.authorizer,
            )

        def own_fetch(service: str, username: str, secret: memoryview) -> Fetch:
            return run_fetch(OwnCredential(memory, service, username, secret, clock))

        starter = RelayStarter(self.policy, clock, arena, memory, state)
        self.run_requests = RunRequests(
            self.vaults,
            fetch,
            run_fetch(self.vaults),
            self.authorizer,
            detector,
            self.recorder,
            starter,
            settings.socket,
            self.auto_lock.before_request,
            own_fetch,
        )
        self.relay_shares = RelayShares(
            self.vaults,
            self.authorizer,
            fetch,
            self.share_requests,
            self.run_requests,
            self._make_share_fetch,
            lambda path: Recorder(self.log, self.audit_anchoring, path),
            self._make_guest_dispatch,
            starter,
        )
        self.declared_shares = DeclaredShares(
            self.vaults,
            self.opening,
            self.policy,
            self.share_requests,
            self.relay_shares,
            self._make_share_fetch,
            self._make_guest_dispatch,
            lambda facts: self.recorder.record_event("share", **facts),
        )
        self.vaults.observers.append(self.declared_shares.reconcile)
        self.vaults.observers.append(self.relay_shares.end_finished)
        self.agent = agent = AgentRequests(
            settings,
            lambda: describe_protections(report, arena),
            self.vaults,
            self.opening,
            self.auto_lock,
            self.made,
            self.derived_tokens,
            self.log,
            self.authorizer,
            Uses(self._uses, self._has_uses),
            stop,
        )
        credentials = CredentialRequests(
            self.vaults,
            self.changes,
            self.opening,
            self.choice,
            self.adopted,
            self.made,
            self.derived_tokens,
        )
        recipes = RecipeRequests(
            self.vaults, self.changes, self.opening, self.made, self.run_requests.covers
        )
        self.vault_requests = vaults = VaultRequests(
            self.vaults,
            self.opening,
            self.locking,
            self.creation,
            self.choice,
            program,
            self.made,
        )
        index = IndexRequests(arena, fetch, self.policy, self.run_requests.covers)
        unlocking_fetch = UnlockingFetch(
            fetch,
            self.vaults,
            self.opening,
            self.locking,
            self.policy,
            prompter,
            settings.pinentry,
            arena,
            lambda: self.recorder.record_event("unlock", decision="done", why="at a prompt"),
        )
        outside_runs = self.run_requests.without_runs(unlocking_fetch)
        self.dispatch = Dispatch(
            settings.directory,
            arena,
            self.opening.other_agents,
            self.recorder,
            self.auto_lock.before_request,
            quick={
                "fetch": outside_runs.try_fetch,
                "hello": agent.hello,
                "clock": agent.clock,
                "status": agent.status,
                "stop": agent.stop,
                "unshare": self.declared_shares.unshare,
                "stream": refuse_stream,
            },
            slow={
                "fetch": outside_runs.fetch,
                "describe": fetch.describe,
                "list": agent.list,
                "login": self.share_requests.with_ended_shares(
                    recipes.with_recipes(credentials.login)
                ),
                "refresh": recipes.refresh,
                "logout": self.share_requests.with_ended_shares(credentials.logout),
                "prepare": vaults.prepare,
                "create": vaults.create,
                "lock": self.share_requests.with_ended_shares(self._lock),
                "unlock": vaults.unlock,
                "passphrase": self.share_requests.with_ended_shares(vaults.passphrase),
                "restore": vaults.restore,
                "share": self.relay_shares.share,
                "check": index.check,
                "revoke": index.revoke,
                "grant": self.run_requests.grant,
                "run": self.run_requests.run,
                "log": LogRequests(self.log, self.vaults, self.opening, arena).log,
            },
        )

    def _uses(self) -> dict[str, Value]:
        """Return the shares and runs, for `status`."""
        return {
            "shares": self.declared_shares.overview(),
            "runs": self.run_requests.overview(),
        }

    def _has_uses(self) -> bool:
        """Tell whether a run is open, or a share that the next agent would not open."""
        runs = self.run_requests.overview() or self.relay_shares.has_runs()
        return bool(runs) or self.share_requests.has_typed()

    def _configured_program(self) -> str:
        """Return the `keyring` program that config.toml names now, "" if it names none."""
        self.policy.reload(self.vaults.clock.wall())
        return self.policy.policy.keyring_program

    def _configured_recipes(self) -> tuple[ConfiguredRecipe, ...]:
        """Return the recipes of config.toml as it is now."""
        self.policy.reload(self.vaults.clock.wall())
        return self.policy.policy.recipes

    def _record_run_of_recipe(self, record: Record, facts: Mapping[str, object]) -> None:
        names = {"service": record.service, "username": record.username}
        self.recorder.record_run("made", "", {**names, **facts})

    def _destroy_keys(self) -> None:
        """Destroy all keys and secrets, as a lock does."""
        self.made.forget()
        self.locking.close()
        self.run_requests.forget()
        self.relay_shares.forget()

    async def _lock(self, request: Request, body: memoryview) -> Answer:
        """Lock as the user orders: every run ends first, and the relays of shares are gone."""
        await self.recorder.record_first(request)
        await self.run_requests.end("the vault was locked")
        answer = await self.vault_requests.lock(request, body)
        await self.relay_shares.wait_for_ends()
        return answer

    def _lock_as_elsewhere(self) -> None:
        """Lock because another agent of the directory locked."""
        self.recorder.record_event("lock", decision="done", why="elsewhere")
        self.share_requests.end("lock")  # even if that lock has already ended
        self.run_requests.end_soon("the vault was locked")
        self._destroy_keys()

    def _make_share_dispatch(self, share: Share) -> Dispatch:
        """Return the dispatch of a shared socket."""
        fetch = self._make_share_fetch(share)
        chosen = ChosenFetch(lambda request: (fetch, self.share_requests.narrow(share, request)))
        return self._make_guest_dispatch(share.path, *fetch_handlers(chosen))

    def _make_share_fetch(self, share: Share) -> Fetch:
        """Return the fetches within a share."""
        return Fetch(
            self.vaults,
            NoOpening(self.opening.other_agents),
            SharedMade(self.made),
            self.derived_tokens,
            NoDetection(),
            ShareAuthorizer(self.authorizer, self.vaults.clock, share),
            share.grant.login,
        )

    def _make_guest_dispatch(
        self, path: str, quick: Mapping[str, SyncHandler], slow: Mapping[str, AsyncHandler]
    ) -> Dispatch:
        """Return the dispatch of a socket at a path for others."""
        return Dispatch(
            self._settings.directory,
            self._arena,
            self.opening.other_agents,
            Recorder(self.log, self.audit_anchoring, path),
            lambda _op: self.auto_lock.before_request(""),  # requests there keep no vault open
            quick,
            slow,
        )
