"""The shares that config.toml declares: `[[share]]` (policy/share_settings.py).

The user's file is the grant: no prompt, no approval, and nothing is remembered. A declared share is
open while the agent is not locked: from its start, after `auth unlock`, and within seconds after a
change of the file. If its folder is not there, the agent tries again. Its place is judged as that of
`auth share`. It ends with `auth lock`, when the file declares it no more, and when it is stopped;
then the file has to change, or the agent to start, before it is opened again.

Which credential answers is found anew at each request, as the vaults are then, so a login does not
end the share; a run behind it ends with the login that it began with. Everything else is as at
other shares (share_answers.py): a request makes nothing wider or longer, opens no vault and causes
no prompt. The policy judges each fetch as if `auth` asked; a rule that would ask means no. Of
several services on one socket the one with the longest path answers, and anything else is a miss,
so that the tool's other sources answer for it.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.policy.deciding import PolicyInput
from tokenward_agent.requests.attenuation import Restriction, read_projects
from tokenward_agent.requests.dispatch import ChosenFetch
from tokenward_agent.requests.forms import CHILD, RELAY, WHOLE
from tokenward_agent.requests.grants import Grant
from tokenward_agent.requests.naming import candidate_services
from tokenward_agent.requests.relay_sharing import SharedIndex, describe_relay
from tokenward_agent.requests.run_answers import RunGrant
from tokenward_agent.requests.runs import publish_draft, read_draft
from tokenward_agent.requests.share_answers import Share, fetch_handlers, share_ended_error
from tokenward_agent.requests.share_request import ShareRequest
from tokenward_agent.requests.sharing import shut_error
from tokenward_agent.store.closed_vaults import origin
from tokenward_agent.store.lookup import Ambiguous, candidates, choose_stored
from tokenward_protocol.urls import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.policy.share_settings import ConfiguredShare, SharedService
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.relay_sharing import MakeDispatch, RelayShares
    from tokenward_agent.requests.runs import Draft
    from tokenward_agent.requests.sharing import ShareRequests
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

_AUTH: Final = frozenset({"auth"})
"""The program as which the policy judges a declared share: it stands for an `auth share`."""


class _Answering(NamedTuple):
    """The entry that answers for a service, and how many its account has."""

    found: StoredRecord
    of: int


class DeclaredShares:
    """The declared shares of one agent.

    `make_fetch` returns the fetches within a share, `dispatch` makes the dispatch of a path, `note`
    records one that was opened.
    """

    def __init__(
        self,
        vaults: Vaults,
        opening: Opening,
        policy: PolicyFile,
        shares: ShareRequests,
        relay_shares: RelayShares,
        make_fetch: Callable[[Share], Fetch],
        dispatch: MakeDispatch,
        note: Callable[[Mapping[str, object]], None],
    ) -> None:
        self._vaults = vaults
        self._opening = opening
        self._policy = policy
        self._shares = shares
        self._relay_shares = relay_shares
        self._make_fetch = make_fetch
        self._dispatch = dispatch
        self._note = note
        self._open: dict[str, ConfiguredShare] = {}
        self._stopped: set[ConfiguredShare] = set()
        self._problems: dict[str, str] = {}

    def reconcile(self) -> None:
        """Open and close sockets, so that those are open that the file declares."""
        if not self._shares.is_serving:
            return
        self._policy.reload(self._vaults.clock.wall())
        declared = {each.declared.at: each for each in self._policy.policy.shares}
        self._stopped.intersection_update(declared.values())
        for path, share in list(self._open.items()):
            if not self._shares.is_open(path):
                del self._open[path]  # its socket file is gone, or it was stopped or ended
            elif self._opening.is_locked or declared.get(path) != share:
                del self._open[path]
                self._shares.end_one(path, "lock" if self._opening.is_locked else "policy")
        self._problems.clear()
        if self._opening.is_locked:
            return
        for path, share in declared.items():
            if path not in self._open and share not in self._stopped:
                try:
                    self._open_one(share)
                except Failure as failure:
                    self._problems[path] = str(failure)
                else:
                    self._open[path] = share

    def unshare(self, request: Request) -> Answer:
        """Close shared sockets; declared ones stay closed until the file changes. Raises Failure."""
        answer = self._shares.unshare(request)
        stopped = answer.values["stopped"]
        assert isinstance(stopped, list)  # noqa: S101 - for the type checkers
        self._stopped |= {self._open.pop(path) for path in self._open.keys() & {*map(str, stopped)}}
        return answer

    def overview(self) -> list[Value]:
        """Return what `status` says of all shares, typed and declared."""
        self.reconcile()
        found: list[Value] = []
        for each in self._shares.overview():
            assert isinstance(each, dict)  # noqa: S101 - for the type checkers
            found.append({**each, "declared": each["socket"] in self._open, "problem": None})
        declared = {each.declared.at: each for each in self._policy.policy.shares}
        for path, problem in self._problems.items():
            share = declared[path]
            more: dict[str, Value] = {"ends": None, "uids": [*share.declared.uids]}
            more |= {"declared": True, "problem": problem}
            found += [{"socket": path, **facts, **more} for facts in _facts_of(share)]
        return found

    def _open_one(self, share: ConfiguredShare) -> None:
        declared = share.declared
        restriction = Restriction(whole=False, ttl=declared.ttl, projects=declared.projects)
        wanted = ShareRequest(declared.at, None, declared.uids, restriction)
        facts = _facts_of(share)
        if declared.relay:
            listed = _list_indexes(share)
            self._relay_shares.open(
                declared.at,
                (),
                wanted,
                facts,
                listed,
                lambda: self._find_indexes(share),
                declared.tunnels,
            )
        else:
            fetch = ChosenFetch(lambda request: self._choose(share, request))
            dispatch = self._dispatch(declared.at, *fetch_handlers(fetch))
            self._shares.open(declared.at, (), wanted, facts, dispatch)
        for each in facts:
            said = {key: value for key, value in each.items() if value}
            self._note(
                {"decision": "done", "socket": declared.at, "uids": [*declared.uids], **said}
            )

    def _choose(self, share: ConfiguredShare, request: Request) -> tuple[Fetch, Request]:
        """Return what answers a fetch at a declared share, and as which fetch. Raises Failure."""
        self._require_declared(share)
        username = request.text("username")  # of two named accounts it tells which is meant
        for place in candidate_services(request):
            for service in share.services:
                if place in service.scopes and username in {None, service.username or username}:
                    part = self._part(share, service, place, read_projects(request))
                    return self._make_fetch(part), self._shares.narrow(part, request)
        names = ", ".join(each.name for each in share.services)
        raise Failure("not-found", f"This socket hands out credentials only for {names}.")

    def _part(
        self,
        share: ConfiguredShare,
        service: SharedService,
        scope: str,
        projects: tuple[str, ...],
    ) -> Share:
        """Return the share of the entry that answers now, whatever user is asked for. Raises Failure."""
        declared = share.declared
        ours = () if service.whole else declared.projects
        found = self._require(service, scope, projects or ours).found
        login = found.record.login
        form = WHOLE if service.whole else CHILD
        seconds = None if service.whole else declared.ttl
        grant = Grant(login, form, ours or None, seconds)
        return self._share_of(share, scope, found, grant, ours, "")

    def _share_of(
        self,
        share: ConfiguredShare,
        scope: str,
        found: StoredRecord,
        grant: Grant,
        projects: tuple[str, ...],
        purpose: str,
    ) -> Share:
        record = found.record
        names = frozenset(projects)
        judged = PolicyInput(
            *(_AUTH, frozenset(), record.service, record.username, purpose, names),
            hints=_AUTH,  # a rule may name it by its path, which is not known here
        )
        holder = found.vault.provider
        return Share(share.declared.at, grant, scope, projects, holder, None, judged, None, share)

    def _find(
        self, service: SharedService, scope: str, projects: tuple[str, ...]
    ) -> _Answering | None:
        """Return the entry that answers for projects, None if none does. Raises Failure."""
        try:
            account = self._vaults.account(candidates(scope), service.username, None)
            found = choose_stored(account, self._vaults.entry, projects)
        except Ambiguous as error:  # what else is stored is not for the other side
            hint = (
                "name the project with `--project`"
                if error.limits
                else "on its host, `https://NAME@…` names one"
            )
            what = "tokens" if error.limits else "accounts"
            why = f"Several {what} for {service.name} could be meant here."
            raise Failure("refused", why, hint) from None
        return None if found is None else _Answering(found, len(account))

    def _require(self, service: SharedService, scope: str, projects: tuple[str, ...]) -> _Answering:
        found = self._find(service, scope, projects)
        if found is None:
            raise self._missing_error(service, scope)
        return found

    def _missing_error(self, service: SharedService, scope: str) -> Failure:
        failure = self._vaults.not_found_error(scope, None, (origin(scope),))
        if failure.code == "not-found":
            return Failure("not-found", f"No credential for {service.name} is stored.")
        shut: list[Value] = [vault.provider for vault in self._vaults.not_open(None)]
        return shut_error(shut, stored=failure.more.get("stored") is not False or None)

    def _require_declared(self, share: ConfiguredShare) -> None:
        """Raise Failure if the file does not declare a share any more, or the agent is locked."""
        self._policy.reload(self._vaults.clock.wall())
        if self._policy.problem:
            raise Failure("refused", "The policy denies what is shared here.")
        if self._opening.is_locked or share not in self._policy.policy.shares:
            raise share_ended_error()

    # Behind a relay.

    def _find_indexes(self, share: ConfiguredShare) -> list[SharedIndex]:
        """Return the indexes of a run, by what is stored now. Raises Failure."""
        self._require_declared(share)
        found: list[SharedIndex] = []
        for service in share.services:
            projects = _published(share, service)
            here = [
                *([self._uploads(share, service, projects)] if projects else []),
                *self._reads(share, service, projects),
            ]
            if not here:
                raise self._missing_error(service, service.scopes[0])
            found += here
        return found

    def _uploads(
        self, share: ConfiguredShare, service: SharedService, projects: tuple[str, ...]
    ) -> SharedIndex:
        """Return the index for uploads: each project by the narrowest token that covers it."""
        groups: dict[StoredRecord, tuple[str, ...]] = {}
        for project in projects:
            found = self._require(service, service.publish_key, (project,)).found
            groups[found] = (*groups.get(found, ()), project)
        parts = tuple(
            self._relay_part(share, service.publish_key, found, names, "publish")
            for found, names in groups.items()
        )
        login = parts[0].grant.login
        held = RunGrant(login, service.publish_key, "", publishes=True, projects=projects)
        path = "/" + service.publish_url.partition("://")[2].partition("/")[2]
        draft = publish_draft(held, service.name, path)
        return SharedIndex(draft._replace(url=service.publish_url), parts)

    def _reads(
        self, share: ConfiguredShare, service: SharedService, projects: tuple[str, ...]
    ) -> list[SharedIndex]:
        """Return the index for downloads, if it needs a credential and one is stored."""
        if service.key in FIXED.values():
            return []  # everyone may read there
        answering = self._find(service, service.key, projects[:1])
        if answering is None:
            return []
        found = answering.found
        entry = None
        if answering.of > 1:
            entry = " ".join(self._vaults.entry(found).limits or ())
        held = RunGrant(found.record.login, service.key, "", publishes=False, entry=entry)
        settings = self._policy.policy.relay.paths_of(found.record.service)
        draft: Draft = read_draft(held, service.name, settings)._replace(url=service.url)
        return [SharedIndex(draft, (self._relay_part(share, service.key, found, (), "install"),))]

    def _relay_part(
        self,
        share: ConfiguredShare,
        scope: str,
        found: StoredRecord,
        projects: tuple[str, ...],
        purpose: str,
    ) -> Share:
        grant = Grant(found.record.login, RELAY, None, None)
        return self._share_of(share, scope, found, grant, projects, purpose)


def _published(share: ConfiguredShare, service: SharedService) -> tuple[str, ...]:
    """Return the projects that runs may publish to a service: those of the share, to its first."""
    return share.declared.projects if service is share.services[0] else ()


def _list_indexes(share: ConfiguredShare) -> list[Value]:
    """Return what the near end is told of the indexes."""
    found: list[Value] = []
    for service in share.services:
        projects = _published(share, service)
        install = "" if service.key in FIXED.values() else service.url
        publish = service.publish_url if projects else ""
        names: list[Value] = [*projects]
        if install or publish:
            found.append(
                {"name": service.name, "install": install, "publish": publish, "projects": names}
            )
    return found


def _facts_of(share: ConfiguredShare) -> list[dict[str, Value]]:
    """Return what is said of each service of a share."""
    declared = share.declared
    if declared.relay:
        return [
            describe_relay(each.key, each.username, _published(share, each), declared.tunnels)
            for each in share.services
        ]
    return [
        {
            "service": each.publish_key,
            "username": each.username,
            "projects": None if each.whole else [*declared.projects] or None,
            "whole": each.whole,
        }
        for each in share.services
    ]
