"""`auth token`: print the stored secret or an attenuated token, for scripts and to find errors.

`--describe` prints only what is visible of the token, which cannot be used as a credential.
`--check` prints the verdict of the index, which gets an attenuated token if one can be made. For a
sealed credential of which none can be made the agent asks the index.
"""

from __future__ import annotations

from time import time

from tokenward.credentials import lookup
from tokenward.credentials.narrowing import Restriction, read_restriction
from tokenward.errors import CommandError, exclude
from tokenward.transport.connect import AgentError
from tokenward.ui import formatting, secret_input
from tokenward.ui.formatting import timestamp
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.settings.service_names import Service
    from tokenward_protocol.index_check import Verdict


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_service("the index: pypi (default), testpypi, a URL or a configured name")
    parser.add_username("the user name; needed if several are stored")
    parser.add_provider("look only in that provider's vault")
    parser.add_width()
    parser.add_flag("--describe", "describe the token, and print no secret")
    parser.add_flag(
        "--check",
        "ask the index whether it accepts the token, and print that instead of the secret",
    )
    parser.add_flag("--copy", "put it into the clipboard instead, and clear that after 45 seconds")
    parser.examples(
        "auth token                              print the token for PyPI, and nothing else",
        "auth token https://h.example -u alice   alice's password there",
        "auth token testpypi --format json       with user name, source and expiry",
        "auth token --project mine --ttl 15m     a token for one project and 15 minutes",
        "auth token --describe                   describe it, without the secret",
        "auth token --check                      ask PyPI whether it knows the token",
        "auth token --copy                       for a form in the browser",
        "auth token -v                           show on stderr where it comes from",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Print the token, its description or the verdict of its index."""
    provider = arguments.keyring_provider
    service = lookup.service_or_word(session, arguments.service, provider)
    username = secret_input.chosen_username(
        arguments.username, service.username, service.password, none=arguments.no_username
    )
    board = None
    if arguments.copy:
        beside = {"--describe": arguments.describe, "--check": arguments.check}
        exclude("--copy", beside, "`--copy` prints nothing")
        from tokenward.ui import clipboard

        board = clipboard.find(session.environ)  # before a secret is fetched
    asked = read_restriction(
        arguments.project, arguments.ttl, otherwise=Restriction(whole=not arguments.check)
    )
    if arguments.describe:
        if arguments.ttl is not None:
            raise CommandError("`--describe` takes no `--ttl`.")
        exclude("--describe", {"--check": arguments.check}, "")
        said = lookup.describe(session, service, username, provider, asked.projects)
        if said is None:
            raise _nothing(service, username, provider)
        _describe(said, session)
        return

    def again() -> lookup.FoundCredential | None:
        return lookup.find_credential(
            session, service, username, provider, offer=True, restriction=asked
        )

    try:
        found = again()
    except AgentError as refused:
        if not (arguments.check and refused.header.get("why") == "sealed") or asked.is_explicit:
            raise
        _check_by_agent(session, service, username, provider)
        return
    if found is None:
        raise _nothing(service, username, provider)
    session.terminal.detail(found.origin)
    if arguments.check:
        _check(session, found, again)
        return
    if board is not None:
        from tokenward.ui import clipboard

        clipboard.copy(board, session.environ, found.secret)
        session.terminal.say(
            f"Copied the secret for {display(found.service)}, for {clipboard.SECONDS} seconds."
        )
        session.write_json(
            {
                "service": found.service,
                "username": found.username,
                "source": found.source,
                "copied": True,
            }
        )
        return
    if not session.json:
        session.terminal.data(found.secret)
        return
    session.write_json(
        {
            "service": found.service,
            "username": found.username,
            "token": found.secret.decode("utf-8", "surrogateescape"),
            "source": found.source,
            found.where[0]: found.where[1],
            "expires": timestamp(found.expires),
            "projects": found.projects,
        }
    )


def _describe(said: dict[str, Any], session: Session) -> None:
    """Print the visible parts of a token."""
    token = said["token"]
    if session.json:
        session.write_json(
            {
                **{key: said[key] for key in ("service", "username", "source", "sealed")},
                "created": timestamp(said["created"]),
                "expires": timestamp(said["expires"]),
                "token": token
                and {k: timestamp(v) if k in _TIMES else v for k, v in token.items()},
            }
        )
        return
    from tokenward.credentials.listing import facts_table

    session.terminal.table(facts_table(said, time()))


_TIMES = ("expires", "not_before")


def _check(
    session: Session,
    found: lookup.FoundCredential,
    again: Callable[[], lookup.FoundCredential | None],
) -> None:
    """Print the verdict of the index. Raises CommandError if it refuses the credential.

    The index may refuse an attenuated token because our clock is wrong; with the clock of the index
    it is asked once more.
    """
    from tokenward.indexes.checking import ask_verdict, tell_clock
    from tokenward_protocol.index_check import REFUSED
    from tokenward_protocol.index_reply import WebError

    if "://" not in found.service:
        raise CommandError(f"{found.service} is not the URL of an index, so it cannot be asked.")
    try:
        said, web = ask_verdict(session, found.service, found.username, found.text)
        if (
            found.source == "agent"
            and tell_clock(session, found.service, web)
            and said.state == REFUSED
        ):
            other = again()
            if other is not None and other.service == found.service:
                said, _ = ask_verdict(session, other.service, other.username, other.text, web)
    except WebError as failed:
        raise CommandError(str(failed)) from None
    names = {"service": found.service, "username": found.username, "source": found.source}
    _tell_verdict(session, names, said, by_command=found.where[1] == COMMAND)


def _check_by_agent(
    session: Session, service: Service, username: str | None, provider: str | None
) -> None:
    """Have the agent ask the index about what it does not hand out. Raises CommandError."""
    from tokenward_protocol.index_check import Verdict

    with session.terminal.at_work(f"Asking {display(service.key)} ..."):
        answer = lookup.ask_agent(
            session, "check", service, username, {"provider": provider}, offer=True
        )
    if answer is None:
        raise _nothing(service, username, provider)
    header = answer.header
    names = {"service": header["service"], "username": header["username"], "source": "agent"}
    said = Verdict(*(str(header[key]) for key in Verdict._fields))
    _tell_verdict(session, names, said, by_command=header["provider"] == COMMAND)


def _tell_verdict(
    session: Session, names: dict[str, Any], said: Verdict, *, by_command: bool
) -> None:
    """Print the verdict of an index. Raises CommandError if it refuses the credential."""
    from tokenward_protocol.index_check import REFUSED

    session.write_json(
        {**names, "check": said.state, "message": said.message, "unproven": said.unproven}
    )
    if said.state == REFUSED:
        helps = "`auth refresh` makes" if by_command else "`auth login` stores"
        raise CommandError(said.message, f"{helps} another one")
    if not session.json:
        session.terminal.lines([said.message, *filter(None, [said.unproven])])


def _nothing(service: Service, username: str | None, provider: str | None) -> CommandError:
    name = display(service.key)
    who = formatting.whose_text(username)
    where = "" if provider is None else f" by the provider {provider}"
    login = f"`auth login {service.name or service.key}`"
    return CommandError(f"No credential{who} for {name} is stored{where}.", login)
