"""`auth exec` behind a relay: CMD uses the credentials and never holds one.

The agent decides on every index first, then starts the relay and gives its port and a *capability*,
which is all that CMD gets. Nothing is started unless each index has a credential that answers. What
CMD trusts is written into a folder that the agent removes with the run.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tokenward.credentials import unlocking
from tokenward.errors import CommandError
from tokenward.exec import command
from tokenward.exec.environment import Access, ExecIndex
from tokenward.exec.named_files import listing_of
from tokenward.exec.relay_environment import (
    ADDED_TRUST,
    TRUST,
    relay_environment,
    run_variables,
)
from tokenward.settings.index_definition import env_form
from tokenward.transport.connect import AgentError
from tokenward.transport.prompt_context import prompt_arguments
from tokenward.ui.formatting import join_words
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tokenward.session import Session
    from tokenward.settings.service_names import Service

    UvVariables = Callable[[Sequence[Access]], Mapping[str, str]]

_SYSTEM_TRUST = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


_LONGEST = 1024
"""Bytes of a text in a request."""


class RunIndex(NamedTuple):
    """One index of a run: whether it may be read, and whether it gets uploads."""

    service: Service
    reads: bool
    publishes: bool


def run_environment(
    services: Sequence[Service],
    program: Sequence[str],
    projects: Sequence[str],
    session: Session,
    uv_variables: UvVariables,
    *,
    read_only: bool,
    lifetime: int | None,
) -> dict[str, str]:
    """Start the relay and return the environment of CMD. Raises CommandError.

    The relay ends after `lifetime` seconds, None for as long as a relay may live.
    """
    uploads = not read_only and (command.uploads(program) or bool(projects))
    indexes = _grant(services, program, projects, session, uploads=uploads)
    hosts = _hosts(indexes)
    proxies = [_own_proxy(session.environ, "https"), _own_proxy(session.environ, "http")]
    answer = session.ask_once(
        "run",
        ("\n" + "\n".join(proxies)).encode(),
        direct=session.environ.get("no_proxy") or session.environ.get("NO_PROXY"),
        lifetime=lifetime,
        **{k: v for k, v in prompt_arguments(session.environ).items() if k != "attended"},
    )
    port, folder = int(str(answer.header["port"])), str(answer.header["folder"])
    capability = answer.body.decode("ascii")
    authority = str(answer.header["ca"]).encode()
    trust = write_trust(session.environ, folder, authority) if authority else {}
    installs = [Access(index.service.url, "", "") for index in indexes if index.reads]
    variables = run_variables([_exec_index(index) for index in indexes], capability, port)
    return relay_environment(
        session.environ,
        {**variables, **uv_variables(installs)},
        f"http://run:{capability}@127.0.0.1:{port}",
        hosts,
        trust,
    )


def _grant(
    services: Sequence[Service],
    program: Sequence[str],
    projects: Sequence[str],
    session: Session,
    *,
    uploads: bool,
) -> list[RunIndex]:
    """Have the agent decide on each index. Raises CommandError if one has no credential."""
    found: list[RunIndex] = []
    where = {"program": _path_of(program[0], session.environ.get("PATH", ""))}
    for service in services:
        publishes = reads = False
        if uploads and service is services[0]:
            target = service.for_uploads
            path = "/" + target.url.partition("://")[2].partition("/")[2]
            more = {"upload": path, "projects": " ".join(projects) or None, **where}
            listing = listing_of(program, session.settings.cwd)
            header = _ask(session, target, more, listing.encode())
            publishes = header is not None
            if header is not None:
                _tell_projects(session, header.get("projects"))
        if service.key not in FIXED.values():
            reads = _ask(session, service, where) is not None
        if not publishes and not reads:
            if service.key in FIXED.values():
                continue  # nothing is needed to read from there
            login = f"`auth login {service.name or service.key}`"
            raise CommandError(
                f"No credential for {display(service.key)} is stored, so nothing was started.",
                login,
            )
        found.append(RunIndex(service, reads, publishes))
    if not found:
        raise CommandError(
            "A relay has nothing to do here: the command publishes nothing, and everyone may read"
            " from this index.",
            "start the command without `auth exec`",
        )
    return found


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


def _ask(
    session: Session, service: Service, more: Mapping[str, Any], body: bytes = b""
) -> Mapping[str, object] | None:
    """Have the agent add one index to the run; return its answer, None if nothing is stored."""
    try:
        answer = unlocking.ask(
            session,
            "grant",
            body,
            offer=True,
            service=service.key,
            username=service.username or None,
            name=service.name or display(service.key),
            **more,
        )
    except AgentError as refused:
        usual = service.default_username
        if refused.code == "not-found":
            return None
        if refused.code == "ambiguous" and usual in refused.header.get("usernames", ()):
            return unlocking.ask(
                session,
                "grant",
                body,
                offer=True,
                service=service.key,
                username=usual,
                name=service.name or display(service.key),
                **more,
            ).header
        raise
    return answer.header


def _tell_projects(session: Session, projects: object) -> None:
    names = [str(each) for each in projects] if isinstance(projects, list) else []
    if names:
        session.terminal.detail(f"This run may publish {join_words(names)}.")
    else:
        session.terminal.warn(
            "It is not certain what this command publishes, so it may not publish."
        )
        session.terminal.hint("name the project: `auth exec --project NAME -- …`")


def _exec_index(index: RunIndex) -> ExecIndex:
    service = index.service
    return ExecIndex(
        Access(service.for_uploads.url, "", "") if index.publishes else None,
        Access(service.url, "", "") if index.reads else None,
        service.name and env_form(service.name),
    )


def _hosts(indexes: Sequence[RunIndex]) -> list[str]:
    """Return the hosts that the relay terminates."""
    found: list[str] = []
    for service, reads, publishes in indexes:
        urls = [service.url] if reads else []
        urls += [service.for_uploads.url] if publishes else []
        for url in urls:
            authority = url.partition("://")[2].partition("/")[0]
            host = (
                authority.partition("]")[0][1:]
                if authority[:1] == "["
                else authority.partition(":")[0]
            )
            found.append(host.lower())
    return list(dict.fromkeys(found))


def _own_proxy(environ: Mapping[str, str], scheme: str) -> str:
    """Return the proxy that CMD would use for a scheme without the relay."""
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    return next((environ[name] for name in names if environ.get(name)), "")


def write_trust(environ: Mapping[str, str], folder: str, authority: bytes) -> dict[str, str]:
    """Write what CMD trusts into `folder`; return the variables that name the files.

    Raises CommandError if a file that a variable names cannot be read.
    """
    found: dict[str, str] = {}
    for variable in (*TRUST, *ADDED_TRUST):
        named = environ.get(variable)
        before = b""
        if named or variable not in ADDED_TRUST:
            before = _read_trust(named, variable)
        path = os.path.join(folder, f"{variable}.pem")
        with open(path, "xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(before.rstrip(b"\n") + b"\n" + authority)
        found[variable] = path
    return found


def _read_trust(named: str | None, variable: str) -> bytes:
    if named and os.path.isdir(named):
        raise CommandError(
            f"{variable} names a folder, which the relay cannot add a certificate to.",
            "name a file with all the certificates there, or use `auth exec --env`",
        )
    path = named or next(filter(os.path.exists, _SYSTEM_TRUST), "")
    if not path:
        raise CommandError(
            "The system's certificates were not found.", "SSL_CERT_FILE can name the file"
        )
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as failed:
        raise CommandError(
            f"The certificates in {path} cannot be read: {failed.strerror}.",
            f"{variable} names them" if named else "SSL_CERT_FILE can name others",
        ) from None
