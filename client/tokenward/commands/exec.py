"""`auth exec`: replace this process by a program that uses the credentials.

The program gets this process's terminal, signals and exit status. If a credential is missing, or a
relay cannot be had, nothing is started.

By default the program runs behind a relay, which adds the credentials on the way (exec/relay.py). With
`--env` it has them in its environment: the secret is never in an argument, in a file or in the
environment of `auth` itself. exec/environment.py chooses the variables then, and sees to it that none
of them sends the secret of one index to another; exec/command.py judges the arguments of CMD.
"""

from __future__ import annotations

import os
import signal
import sys

from tokenward.credentials import lookup
from tokenward.credentials.narrowing import read_restriction
from tokenward.errors import CommandError, exclude, sayable
from tokenward.exec import command, project_options
from tokenward.exec.environment import (
    OTHER_SETTINGS,
    Access,
    ExecIndex,
    ResolverSettings,
    child_environment,
    is_mentioned,
    tool_variables,
    uv_variables,
)
from tokenward.exec.relay_environment import MARK
from tokenward.settings.config_toml import ENV
from tokenward.settings.service_names import env_form
from tokenward.ui.formatting import credential_text, join_words
from tokenward_protocol.messages import MEMORY
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import NoReturn

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.credentials.narrowing import Restriction
    from tokenward.settings.service_names import Service


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_program("the program, followed by its own arguments")
    parser.add_option(
        "--index",
        "SERVICE",
        "an index that CMD may use (default: pypi); may be repeated; uploads go to the first",
        action="append",
    )
    parser.add_width()
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--relay",
        action="store_true",
        help="CMD gets no credential: a relay adds it on the way, and judges every upload (default)",
    )
    how.add_argument(
        "--env",
        action="store_true",
        help='CMD gets the credentials in its environment; `exec = "env"` in config.toml makes it'
        " the default",
    )
    parser.add_flag("--read-only", "behind a relay: CMD may publish nothing")
    parser.add_flag(
        "--own-credential",
        "behind a relay: CMD publishes with a credential that it has itself, as by trusted publishing",
    )
    parser.examples(
        "auth exec -- twine upload dist/*               the token for PyPI, for twine alone",
        "auth exec --index testpypi -- uv publish       upload to TestPyPI",
        "auth exec --index corp --index pypi -- nox     two indexes: by name, and for pip",
        "auth exec --project mine -- uv publish         a token for one project",
        "auth exec -v --index corp -- true              show which variables it would get",
        "auth exec --read-only --index corp -- AGENT     an agent that installs and publishes nothing",
        "auth exec --env -- TOOL                         a tool that no relay can serve",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Find the credentials and replace this process by the program."""
    program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not program or not program[0]:
        raise CommandError("The command to run is missing.", "`auth exec -- twine upload dist/*`")
    if session.environ.get(MARK):
        raise CommandError(
            "This command runs behind a relay already, and a run cannot begin another one.",
            "name every index in the outer one: `auth exec --index A --index B -- …`",
        )
    if not arguments.env and session.environ.get("TOKENWARD_SOCK"):
        _run_at_share(arguments, program, session)
    is_behind_relay = _is_behind_relay(arguments, session)
    services = _services(arguments.index or ["pypi"], session)
    if is_behind_relay:
        _run_behind_relay(arguments, program, services, session)
    if words := command.refusal(program, services[0].publish_key):
        raise CommandError(
            f"`{words}` would send the credential of {display(services[0].publish_key)} elsewhere.",
            "leave it out; the first `--index` of `auth exec` is where an upload goes",
        )
    for service in services:
        session.agree_to(service, "Use its credential?", "Nothing was started.")
    asked = read_restriction(arguments.project, arguments.ttl, otherwise=lookup.TOOL)
    indexes = [_index(service, session, asked) for service in services]
    found = _find_variables(program, indexes, session)
    environ = child_environment(session.environ, found)
    session.terminal.detail(f"Set for {os.path.basename(program[0])}: {join_words(sorted(found))}.")
    if gone := sorted(set(session.environ) - set(environ)):
        session.terminal.detail(f"Removed from its environment: {join_words(gone)}.")
    session.tell_notices()
    _become(program, environ)


def _run_at_share(arguments: Namespace, program: list[str], session: Session) -> None:
    """Run CMD behind the relay share that TOKENWARD_SOCK names; return if it is not such a share."""
    if sys.platform == "win32":
        return
    from tokenward.exec import near_end

    path = session.environ["TOKENWARD_SOCK"]
    try:
        near_end.greet(path)
    except near_end.NotRelayShare as found:
        if found.is_share and _is_behind_relay(arguments, session):
            raise
        return
    except CommandError:
        return  # the usual way says why
    given = ("index", "project", "ttl", "read_only", "own_credential")
    if words := [f"`--{name.replace('_', '-')}`" for name in given if getattr(arguments, name)]:
        raise CommandError(
            f"At a relay share, {join_words(words)} cannot be chosen: the share says what CMD may do.",
            "leave it out",
        )
    environ = near_end.enter(path, session.environ, program)
    session.tell_notices()
    _become(program, environ)


def _is_behind_relay(arguments: Namespace, session: Session) -> bool:
    """Return which way the options, else the user's settings choose. Raises CommandError."""
    usual = session.settings.config.exec_way != ENV
    chosen = arguments.relay or (usual and not arguments.env)
    if arguments.read_only and not chosen:
        raise CommandError(
            "`--read-only` works behind a relay alone: a credential in the environment can publish.",
            "leave `--env` out" if arguments.env else "add `--relay`",
        )
    if arguments.own_credential and not chosen:
        raise CommandError(
            "`--own-credential` works behind a relay alone, which judges what is published.",
            "leave `--env` out" if arguments.env else "add `--relay`",
        )
    if chosen and sys.platform != "linux":
        raise CommandError(
            "There is no relay on this system yet.",
            "`auth exec --env` hands the credentials to the command",
        )
    if arguments.read_only and arguments.project:
        raise CommandError("`--read-only` and `--project` exclude each other.")
    if arguments.own_credential:
        exclude("--own-credential", {"--read-only": arguments.read_only})
    return bool(chosen)


def _run_behind_relay(
    arguments: Namespace, program: list[str], services: list[Service], session: Session
) -> NoReturn:
    from tokenward.exec.relay import run_environment

    for service in services:
        session.agree_to(service, "Use its credential?", "Nothing was started.")

    def uv_of(installs: Sequence[Access]) -> Mapping[str, str]:
        """Return the variables for what uv's settings do not mention: they need no credential."""
        settings = ResolverSettings(session.settings.uv or ())
        new = [each for each in installs if not is_mentioned(each, settings)]
        return _uv_variables(program, new, session)[0]

    environ = run_environment(
        services,
        program,
        arguments.project or (),
        session,
        uv_of,
        lambda service: _renew(service, session),
        read_only=arguments.read_only,
        own_credential=arguments.own_credential,
        lifetime=arguments.ttl,
    )
    session.tell_notices()
    _become(program, environ)


def _services(given: list[str], session: Session) -> list[Service]:
    """Return each index once. Raises CommandError if two of them have the same variables."""
    found: dict[tuple[str, str, str | None], Service] = {}
    forms: dict[str, Service] = {}
    for text in given:
        service = session.service(text)
        found.setdefault((service.key, service.publish_key, service.username), service)
    for service in found.values():
        if service.name is None:
            if len(found) > 1 and service is not next(iter(found.values())):
                session.terminal.warn(
                    f"{service.url} has no name, so as a further index it serves only pip and uv."
                )
            continue
        other = forms.setdefault(env_form(service.name), service)
        if other is not service:
            raise CommandError(
                f"The names {other.name} and {service.name} give the same variables.",
                "use two commands, or give one of them by its URL",
            )
    return list(found.values())


def _index(service: Service, session: Session, asked: Restriction) -> ExecIndex:
    """Find the credentials of one index. Raises CommandError if one is missing."""
    uploads = service.for_uploads
    publish = _access(uploads, session, asked)
    install = publish
    if service.key != service.publish_key:
        install = _access(service, session, asked)
    elif publish is not None:
        install = Access(service.url, publish.username, publish.secret)
    where = display(service.publish_key)
    if publish is None and install is None:
        login = f"`auth login {service.name or service.key}`"
        raise CommandError(f"No credential for {where} is stored, so nothing was started.", login)
    for access, wanted in ((publish, uploads), (install, service)):
        if access is None:
            session.terminal.warn(
                f"No credential for {wanted.url} is stored, so no variable is set for it."
            )
    if service.key in FIXED.values():
        install = None  # this index needs no credential for installs
    return ExecIndex(publish, install, service.name and env_form(service.name))


def _access(
    service: Service, session: Session, asked: Restriction, *, may_renew: bool = True
) -> Access | None:
    named = service.url.replace("://", "://NAME@", 1)
    several = f"name the account: `--index {named}`"
    found = lookup.find_credential(
        session, service, service.username, offer=True, restriction=asked, several=several
    )
    if found is None:
        return None
    in_memory = found.where == ("provider", MEMORY)
    if may_renew and in_memory and _renew(found.service, session):
        return _access(service, session, asked, may_renew=False)
    session.terminal.detail(found.origin)
    if "\0" in found.username or b"\0" in found.secret:
        what = credential_text(found.username, found.service)
        raise CommandError(f"No variable can hold {what}: it has a zero byte.")
    return Access(service.url, found.username, found.text)


def _renew(service: str, session: Session) -> bool:
    """Mint another token for one that ends soon; return whether that was done."""
    from tokenward.indexes import minted_tokens

    return minted_tokens.renew(session, service)


def _find_variables(
    program: Sequence[str], indexes: Sequence[ExecIndex], session: Session
) -> dict[str, str]:
    """Return the variables for CMD; report what is left out and what may change."""
    warn, environ = session.terminal.warn, session.environ
    without: set[str] = set()
    env_files = command.env_files(program, environ)
    if env_files and (
        chosen := project_options.of_env_files(env_files, _places_of(program, session))
    ):
        raise CommandError(
            f"{chosen} cannot be read, or sets variables that may send a secret elsewhere, so"
            " nothing was started.",
            "set those variables in the environment of `auth exec` instead",
        )
    for tool, chosen in (
        ("pdm", project_options.of_pdm(_places_of(program, session, "PDM_PROJECT"))),
        ("uv", project_options.of_uv(_places_of(program, session, *OTHER_SETTINGS))),
    ):
        if chosen:
            without.add(tool)
            is_meant = command.mentions(program, tool)
            say = warn if is_meant else session.terminal.detail
            say(f"Nothing is set for {tool}: {chosen} may make it send a secret elsewhere.")
            if tool == "uv" and is_meant and command.uploads(program):
                raise CommandError(  # else uv would go to PyPI or that proxy without an account
                    f"{chosen} sets a proxy for uv, or cannot be read, so nothing was started.",
                    "put your own proxy into HTTPS_PROXY or into your own uv.toml",
                )
    installs = [index.install for index in indexes if index.install]
    is_upload = command.uploads(program)
    if installs and command.mentions(program, "poetry") and not is_upload:
        warn(
            "Nothing is set for poetry's installs: another index of the same name could get the credential."
        )
        session.terminal.hint("run `auth setup`; then poetry finds the credential by the URL")
    if "uv" in without:
        return tool_variables(indexes, without=without)
    uv, unsettled = _uv_variables(program, installs, session)
    for url in unsettled if command.resolves(program) else ():
        warn(f"From {url} uv may take packages that it otherwise takes from another index.")
    return tool_variables(indexes, without=without) | uv


def _uv_variables(
    program: Sequence[str], installs: Sequence[Access], session: Session
) -> tuple[dict[str, str], list[str]]:
    """Return the variables for uv, and the URLs by which it may resolve otherwise than without."""
    read = session.settings.uv
    is_elsewhere = any(session.environ.get(name) for name in OTHER_SETTINGS)
    return uv_variables(
        installs,
        ResolverSettings(read or ()),
        is_uv=command.runs(program, "uv"),
        is_known=read is not None and not is_elsewhere and command.reads_what_is_here(program),
    )


def _places_of(program: Sequence[str], session: Session, *by: str) -> Iterator[str]:
    """Yield the working directory and the paths in CMD's words and in the variables `by`."""
    cwd = session.settings.cwd
    yield cwd
    named = (session.environ.get(name, "") for name in by)
    for word in dict.fromkeys((*named, *command.words(program))):
        for text in (word, word.partition("=")[2], word[2:]):
            if text and "\0" not in text:
                yield os.path.join(cwd, text)


def _become(program: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the program. Raises CommandError if it cannot be started."""
    if sys.platform != "win32":
        for ignored in (
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):  # Python ignores them; programs expect to end by them
            signal.signal(ignored, signal.SIG_DFL)
    name = os.path.basename(program[0])
    name = name if sayable(name) else "The program"
    try:
        os.execvpe(program[0], program, environ)  # noqa: S606 - the user asked for no shell
    except FileNotFoundError:
        problem, hint = f"{name} was not found.", "give its path, or look at PATH"
    except OSError as failed:
        problem, hint = f"{name} cannot be started: {failed.strerror}.", ""
    except UnicodeEncodeError:
        problem = "This locale cannot encode a character of a user name or secret."
        hint = "set LANG to a locale with UTF-8"
    # Outside the handlers: an exception could hold an environment with secrets.
    raise CommandError(problem, hint)
