"""`auth exec` behind a relay: CMD uses the credentials and never holds one.

The agent decides on every index first, then starts the relay and gives its port and a *capability*,
which is all that CMD gets. Nothing is started unless each index has a credential that answers. What
CMD trusts is written into a folder that the agent removes with the run.
"""

from __future__ import annotations

import base64
import os
from typing import NamedTuple

from tokenward.credentials import lookup
from tokenward.errors import CommandError
from tokenward.exec import command
from tokenward.exec.certificates import (
    without_missing_folders,
    write_authority,
    write_certificates,
)
from tokenward.exec.environment import Access, ExecIndex
from tokenward.exec.named_files import listing_of
from tokenward.exec.reach import own_proxy, read_reach
from tokenward.exec.relay_environment import (
    ADDED_TRUST,
    former_trust,
    git_variables,
    relay_environment,
    run_variables,
    uv_account,
    with_own_credential,
)
from tokenward.settings.service_names import env_form
from tokenward.transport.connection import prompt_arguments
from tokenward.ui.formatting import join_words
from tokenward_protocol.messages import MEMORY
from tokenward_protocol.reach_marks import read_marks
from tokenward_protocol.urls import FIXED, display, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from tokenward.exec.reach import Reach
    from tokenward.session import Session
    from tokenward.settings.service_names import Service

    UvVariables = Callable[[Sequence[Access]], Mapping[str, str]]


_LONGEST = 1024
"""Bytes of a text in a request."""


class RunIndex(NamedTuple):
    """One index of a run: whether it may be read, and whether it gets uploads, by CMD's own credential if it `is_own`."""

    service: Service
    reads: bool
    publishes: bool
    is_own: bool = False


def run_environment(
    services: Sequence[Service],
    program: Sequence[str],
    projects: Sequence[str],
    session: Session,
    uv_variables: UvVariables,
    renew: Callable[[str], object],
    *,
    read_only: bool,
    own_credential: bool,
    lifetime: int | None,
) -> dict[str, str]:
    """Start the relay and return the environment of CMD. Raises CommandError.

    `renew` gets the service of a token that is only in memory, and may store a newer one. The relay
    ends after `lifetime` seconds, None for as long as a relay may live. With `own_credential` CMD
    publishes with what it has itself.
    """
    environ, config = session.environ, session.settings.config
    names = [env_form(service.name) for service in services if service.name]
    urls = [url for each in services for url in (each.key, each.publish_key)]
    secure = [host_of(url) for url in dict.fromkeys(urls) if url.startswith("https:")]
    reach = read_reach(environ, secure, names, config.ca, config.proxy)
    proxies = [own_proxy(environ, scheme)[1] for scheme in ("https", "http")]
    uploads = not read_only and (command.uploads(program) or bool(projects))
    indexes = _grant(
        services, program, projects, session, renew, reach, uploads=uploads, own=own_credential
    )
    certificates = [base64.b64encode(each).decode() for each in reach.certificates()]
    answer = session.ask_once(
        "run",
        "\n".join(["", *proxies, *certificates]).encode(),
        proxied=",".join(reach.hosts) or None,
        direct=environ.get("no_proxy") or environ.get("NO_PROXY"),
        lifetime=lifetime,
        **{k: v for k, v in prompt_arguments(environ).items() if k != "attended"},
    )
    capability = answer.body.decode("ascii")
    port, folder = int(str(answer.header["port"])), str(answer.header["folder"])
    proxy = f"http://run:{capability}@127.0.0.1:{port}"
    trust: dict[str, str] = {}
    file = ""
    if authority := str(answer.header["ca"]).encode():
        former = former_trust(without_missing_folders(environ), names)
        trust = write_certificates(former, ADDED_TRUST, folder, authority)
        file = write_authority(folder, authority)
    reads = [index.service for index in indexes if index.reads]
    variables = run_variables([_exec_index(index) for index in indexes], capability, port)
    if any(index.is_own for index in indexes):
        variables = with_own_credential(variables, environ if own_credential else {})
    for name in _uv_names(reads, session):
        variables |= uv_account(name, capability)
    variables |= uv_variables([_access(service.key, service.url) for service in reads])
    variables |= git_variables(environ, _origins(indexes), proxy, file)
    return relay_environment(environ, variables, proxy, _hosts(indexes), trust)


def _grant(
    services: Sequence[Service],
    program: Sequence[str],
    projects: Sequence[str],
    session: Session,
    renew: Callable[[str], object],
    reach: Reach,
    *,
    uploads: bool,
    own: bool,
) -> list[RunIndex]:
    """Have the agent decide on each index. Raises CommandError if one has no credential.

    The first index takes uploads, of no project unless `uploads`: a tool that tries all the same
    reads why it is refused. They go by CMD's `own` credential if that is asked for, or if none is
    stored for PyPI, where a tool may have one by trusted publishing.
    """
    found: list[RunIndex] = []
    seen = {"program": _path_of(program[0], session.environ.get("PATH", ""))}
    for service in services:
        publishes = reads = is_own = False
        if service is services[0]:
            target = service.for_uploads
            path = "/" + target.url.partition("://")[2].partition("/")[2]
            more = {"upload": path, "projects": _projects(projects, uploads=uploads), **seen}
            listing = listing_of(program, session.settings.cwd) if uploads else ""
            header = None
            if not own:
                header = _add_index(session, target, more, reach, listing.encode())
            if header is None and (own or (uploads and target.key == FIXED["pypi"])):
                is_own = True
                if not own:
                    session.terminal.say(
                        "No credential for pypi is stored: the command publishes with its own.",
                        "`auth login` stores one that a relay adds",
                    )
                header = _add_index(
                    session, target, {**more, "tool": True}, reach, listing.encode()
                )
            publishes = header is not None
            if header is not None:
                _tell_projects(session, header.get("projects"), uploads=uploads)
                if header["provider"] == MEMORY:
                    renew(str(header["service"]))
        if service.key not in FIXED.values():
            reads = _add_index(session, service, seen, reach) is not None
        elif service is not services[0]:
            continue  # nothing is needed to read from there
        if not publishes and not reads:
            where = service.publish_key if service.key in FIXED.values() else service.key
            raise CommandError(
                f"No credential for {display(where)} is stored, so nothing was started.",
                f"`auth login {service.name or service.key}`",
            )
        found.append(RunIndex(service, reads, publishes, is_own))
    return found


def _projects(projects: Sequence[str], *, uploads: bool) -> str | None:
    """Return the projects that may be published, as the agent reads them; None if it is to see."""
    if not uploads:
        return ""
    return " ".join(projects) or None


def _path_of(name: str, path: str) -> str | None:
    """Return the absolute path of a command in the folders of PATH; None if it is not certain."""
    if os.path.dirname(name):
        return None  # the agent sees it in our command line
    for folder in path.split(os.pathsep):
        found = os.path.join(folder, name)
        if os.path.isfile(found) and os.access(found, os.X_OK):
            fits = os.path.isabs(found) and found.isprintable()
            return found if fits and len(os.fsencode(found)) <= _LONGEST else None
    return None


def _add_index(
    session: Session,
    service: Service,
    more: Mapping[str, Any],
    reach: Reach,
    listing: bytes = b"",
) -> Mapping[str, object] | None:
    """Have the agent add one index to the run; return its answer, None without a credential.

    `more` are further arguments of the request, `listing` has the files to publish. Raises CommandError
    if its credential does not accept what `reach` has.
    """
    arguments = {"name": service.name or display(service.key), **more}
    if "tool" in more:  # CMD's own: nothing is looked up
        answer = lookup.ask_agent(session, "grant", service, None, arguments, listing, offer=False)
    else:
        answer = lookup.ask_for_run(session, service, arguments, listing)
    if answer is None:
        return None
    if service.key.startswith("https:"):
        accepted = read_marks(str(answer.header.get("trust", "")))
        reach.require_accepted(host_of(service.key), accepted)
    return answer.header


def _tell_projects(session: Session, projects: object, *, uploads: bool) -> None:
    names = [str(each) for each in projects] if isinstance(projects, list) else []
    if names:
        session.terminal.detail(f"This run may publish {join_words(names)}.")
    elif not uploads:
        session.terminal.detail("This run may publish nothing.")
    else:
        session.terminal.warn(
            "It is not certain what this command publishes, so it may not publish."
        )
        session.terminal.hint("name the project: `auth exec --project NAME -- …`")


def _access(key: str, url: str) -> Access:
    """Return a URL for tools: as it is written, but its host in ASCII, which all of them take."""
    path = url.partition("://")[2].partition("/")[1:]
    return Access("/".join(key.split("/")[:3]) + "".join(path), "", "")


def _exec_index(index: RunIndex) -> ExecIndex:
    service = index.service
    return ExecIndex(
        _access(service.publish_key, service.for_uploads.url) if index.publishes else None,
        _access(service.key, service.url) if index.reads else None,
        service.name and env_form(service.name),
    )


def _uv_names(reads: Sequence[Service], session: Session) -> Iterator[str]:
    """Yield the names, as in variables, that uv's settings here give to indexes of the run."""
    for settings in session.settings.uv or ():
        for definition in settings.definitions:
            key = key_of(definition.url)
            if key and any(key.startswith(service.key) for service in reads):
                yield env_form(definition.name)


def _urls(indexes: Sequence[RunIndex]) -> Iterator[tuple[str, str]]:
    """Yield each URL that the relay answers for, as its key and as tools get it."""
    for service, reads, publishes, _ in indexes:
        if reads:
            yield service.key, service.url
        if publishes:
            yield service.publish_key, service.for_uploads.url


def _hosts(indexes: Sequence[RunIndex]) -> list[str]:
    """Return the hosts of a run; a name outside of ASCII in both of its spellings."""
    return list(dict.fromkeys(host_of(url) for urls in _urls(indexes) for url in urls))


def _origins(indexes: Sequence[RunIndex]) -> list[str]:
    """Return the origins of a run, as git compares them."""
    return list(dict.fromkeys("/".join(key.split("/")[:3]) for key, _ in _urls(indexes)))


def host_of(url: str) -> str:
    """Return the host of a URL, an IPv6 address without brackets."""
    authority = url.partition("://")[2].partition("/")[0].lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
