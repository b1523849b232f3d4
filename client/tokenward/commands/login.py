"""`auth login`: store a credential for an index.

Missing input is asked for on a terminal. All input is checked before anything is made or stored, so
an interrupted login leaves nothing behind.
"""

from __future__ import annotations

import sys
from time import time

from tokenward.commands import guidance
from tokenward.credentials import storing
from tokenward.credentials.storing import ProviderChoice, choose_provider, store
from tokenward.errors import CommandError, exclude
from tokenward.indexes import minted_tokens
from tokenward.keyring_program.agent_client import is_covered
from tokenward.transport.connect import AgentError
from tokenward.ui import argument_parser, secret_input
from tokenward.ui.formatting import ahead_text, timestamp
from tokenward.ui.secret_input import TOKEN_USER, GivenCredential
from tokenward_protocol.recipes import FORMATS
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.credentials.adopting import Adoption
    from tokenward.settings.service_names import Service


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.explain(
        "The credential goes into the keyring vault if a system keyring answers, else into the file"
        " vault, which a passphrase or a key file opens. On a terminal it asks for what is missing,"
        " and asks the index afterwards whether that accepts it. In a script use `--token -` or"
        " `--password -`; TOKENWARD_PASSPHRASE_FILE names the passphrase of the vault."
    )
    parser.add_service("the index: pypi (default), testpypi, a URL or a configured name")
    parser.add_username("the user name; asked for if missing")
    parser.add_secret("-t", "--token", what="an API token; - reads a line of stdin")
    parser.add_secret("--password", what="the password; - reads a line of stdin")
    parser.add_flag(
        "--no-password", "the password is empty, for an index that takes a token as the user name"
    )
    parser.add_provider("where to store it (default: the agent chooses)")
    parser.add_option(
        "--lifetime", "TIME", "delete it after 90m, 8h, 7d ...", type=argument_parser.lifetime
    )
    parser.add_flag("--adopt", "leave it in its keyring or plug-in of keyring, and read it there")
    parser.add_flag(
        "--sealed",
        "never show it again: attenuated tokens of it are handed out, or a relay alone uses it",
    )
    parser.add_flag(
        "--trusted-publishing",
        "in CI: have pypi, testpypi or an index with `oidc` mint a token, kept in memory only",
    )
    parser.add_flag("--check", "ask the index first; if it refuses, store nothing")
    parser.add_flag("--no-check", "do not ask the index afterwards, as is done on a terminal")
    parser.add_flag("--web", "open the page on which tokens are made in the browser")
    parser.add_argument(
        "--command",
        action="store_true",
        dest="by_command",
        help="store no secret, but the command that makes it: PROGRAM ARG...",
    )
    parser.add_option(
        "--from", "MAKER", "such a command by name: gcloud, aws, az, pass:PATH ...", dest="source"
    )
    parser.add_option(
        "--as",
        "|".join(FORMATS),
        "how PROGRAM prints it (default: auto)",
        dest="form",
        type=argument_parser.one_of(FORMATS),
    )
    parser.add_option(
        "--pass-env",
        "VARIABLE",
        "PROGRAM gets it as it is now, sealed in a vault; may be repeated",
        action="append",
    )
    parser.add_flag(
        "--attended",
        "PROGRAM needs you: only `auth refresh` runs it; with `--adopt`, ask the keyring here first",
    )
    parser.add_words()
    parser.examples(
        "auth login                                 ask for a token of PyPI",
        "auth login --web                           open the page that makes one, then ask",
        "auth login testpypi --token - < file       read the token from a file of one line",
        "auth login https://h.example -u alice      ask for alice's password",
        "auth login https://h.example --no-username --password -    a token as the password",
        "auth login https://h.example -u TOKEN --no-password        a token as the user name",
        "auth login pypi --token - --lifetime 8h    delete it after a working day",
        "auth login pypi --sealed                   use it, but never show it again",
        "auth login pypi --trusted-publishing       in CI, with nothing stored anywhere",
        "auth login corp --from gcloud              gcloud makes it, whenever it is needed",
        "auth login corp                            try the command that config.toml has",
        "auth login corp -u aws --adopt             a plug-in of keyring makes it",
        "auth login corp -u bob --command -- pass show corp   the first line that pass prints",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Store the credential that was given or typed."""
    service = session.service(arguments.service)
    given = secret_input.given_credential(
        username_flag=arguments.username,
        password_flag=arguments.password,
        token_flag=arguments.token,
        url_username=service.username,
        url_password=service.password,
        no_username=arguments.no_username,
        no_password=arguments.no_password,
    )
    session.agree_to(service, "Log in there?", "Nothing was stored.")
    exclude("--check", {"--no-check": arguments.no_check and arguments.check})
    if service.file is not None:
        from tokenward.recipes import configured

        definition = configured.definition_of(arguments, session, service, given)
        if definition is not None:
            configured.log_in(arguments, session, service, definition)
            return
    if arguments.by_command or arguments.source:
        from tokenward.recipes import typed

        typed.log_in(arguments, session, service, given)
        guidance.tell_next(session, service)
        return
    needs_adoption = arguments.attended and not arguments.adopt
    if arguments.words or arguments.form or needs_adoption or arguments.pass_env:
        raise CommandError(
            "A program behind `--`, `--as`, `--pass-env` and `--attended` need `--command`.",
            "`auth login SERVICE -u NAME --command -- PROGRAM ARG…`",
        )
    if arguments.web:
        guidance.open_page(service, session)
    if arguments.trusted_publishing:
        minted_tokens.mint_and_keep(arguments, session, service)
        return
    if arguments.adopt:
        _adopt(arguments, service, given, session)
        guidance.tell_next(session, service)
        return
    _check_answerable(service, given, session)
    if given.secret is not None and given.username is not None:
        # A wrong secret fails before anything else is done.
        storing.check_secret_for(service.login_keys, given.username, given.secret)
    with session.terminal.unseen():
        username, secret = _complete(service, given, session)
        body, notices = storing.check_secret_for(service.login_keys, username, secret)
        state = None
        if arguments.check:
            from tokenward.indexes.checking import require_accepted

            state = require_accepted(session, service.login_keys[0], username, body.decode())
        choice = choose_provider(session, arguments.keyring_provider)
        choice.make_vault(session)
    _store(arguments, service, username, session, choice, body, state)
    for notice in notices:
        session.terminal.warn(notice)
    if guidance.is_wanted(session) and not (arguments.check or arguments.no_check):
        guidance.ask_index(session, service.login_keys[0], username, body.decode())
    guidance.tell_next(session, service)


def _check_answerable(service: Service, given: GivenCredential, session: Session) -> None:
    """Raise CommandError at once if input is missing that only a terminal could give."""
    if session.terminal.is_there():
        return
    if given.username is None and service.default_username is None:
        if given.has_secret:
            raise CommandError(
                "A password is given, but no user name.",
                "add `--username` or `--no-username`, or use `--token`",
            )
        raise CommandError(
            f"No credential for {display(service.key)} is given, and there is no terminal to ask.",
            "use `--token -`, or `--username` and `--password -`",
        )
    if not given.has_secret:
        raise CommandError(
            "No password is given, and there is no terminal to ask.", "use `--password -`"
        )


def _complete(service: Service, given: GivenCredential, session: Session) -> tuple[str, str]:
    """Return user name and secret; read or ask for the missing ones."""
    terminal, name = session.terminal, display(service.publish_key)
    username = service.default_username if given.username is None else given.username
    if username is None and service.publish_key in FIXED.values() and not given.has_secret:
        username = TOKEN_USER  # these two indexes take only tokens
    if username is None:
        username = terminal.ask(f"User name for {name} (empty: an API token):") or TOKEN_USER
    if given.secret is not None:
        return username, given.secret
    if given.stdin and not secret_input.is_typed():
        return username, secret_input.line_of(secret_input.read_stdin(secret_input.MAX_INPUT))
    guidance.tell_where_tokens_are_made(service, session)
    what = f"Password of {username}" if username else "Password"
    what = "API token" if username == TOKEN_USER else what
    secret = terminal.ask_secret(f"{what} for {name} (not shown):", alone=True)
    if username == TOKEN_USER:
        secret = secret.strip()  # a pasted token may have blanks around it
    if not secret:
        may_be = username not in {TOKEN_USER, ""}
        hint = "`--no-password` stores an empty one" if may_be else ""
        raise CommandError("Nothing was typed, so nothing was stored.", hint)
    return username, secret


def _adopt(
    arguments: Namespace, service: Service, given: GivenCredential, session: Session
) -> None:
    if given.has_secret:
        raise CommandError("`--adopt` takes no secret: the credential stays in its keyring.")
    if arguments.sealed:
        raise CommandError(
            "`--adopt` and `--sealed` exclude each other: what stays in a keyring, others read there."
        )
    exclude("--adopt", {"--check": arguments.check}, "`auth token --check` does it afterwards")
    if given.username is None:
        raise CommandError("`--adopt` needs the user name.", "add `--username`, or `--no-username`")
    from tokenward.credentials.adopting import plan_adoption, vault_flag

    flag = arguments.keyring_provider
    if flag is not None:
        session.settings.provider(flag, bool)  # a wrong name fails before anything is made
    adoption = plan_adoption(
        session, arguments.service or service.login_keys[0], flag, unread=arguments.attended
    )
    choice = choose_provider(session, vault_flag(flag))
    try:
        try:
            _store(arguments, service, given.username, session, choice, b"", adoption=adoption)
        except AgentError as refused:
            if refused.code != "no-vault":
                raise
            choice.make_vault(session)
            _store(arguments, service, given.username, session, choice, b"", adoption=adoption)
    except AgentError as refused:
        if refused.code == "not-found" and flag != "subprocess":
            _name_plugin(session, service, refused)
        may_be_in_memory = flag != "disabled" and not (arguments.lifetime or adoption.unread)
        if refused.code != "read-only" or not may_be_in_memory:
            raise
        session.terminal.warn(f"{refused} So this is kept in memory alone, until the agent ends.")
        adoption = adoption._replace(in_memory=True)
        _store(arguments, service, given.username, session, choice, b"", adoption=adoption)


def _name_plugin(session: Session, service: Service, refused: AgentError) -> None:
    """Raise CommandError with what installs the plug-in of the index's cloud, if that is missing."""
    from tokenward.credentials.plugins import missing_plugin
    from tokenward.setup.program import addition_command

    package = missing_plugin(session.environ, service.login_keys[0])
    if package is not None:
        hint = f"`{addition_command(sys.prefix, sys.executable, package)}`"
        raise CommandError(
            str(refused), f"{hint}, or `--from` with the cloud's own program"
        ) from None


def _store(
    arguments: Namespace,
    service: Service,
    username: str,
    session: Session,
    choice: ProviderChoice,
    body: bytes,
    checked: str | None = None,
    adoption: Adoption | None = None,
) -> None:
    """Store under each key of the service, and report each."""
    stored: list[dict[str, Any]] = []
    provider, projects = choice.provider, None
    end: int | None = None
    for key in service.login_keys:
        header = store(
            session,
            key,
            username,
            body,
            provider=None if adoption is not None and adoption.in_memory else choice.provider,
            lifetime=arguments.lifetime,
            adopt=adoption,
            sealed=arguments.sealed,
            typed=service.spelling_of(key),
        )
        provider, projects = str(header["provider"]), header.get("projects")
        stored.append({k: header[k] for k in ("service", "replaced", "kept")})
        if adoption is not None and adoption.unread:
            from tokenward.recipes.refreshing import refresh

            refresh(session, header["service"], username)
        end = header.get("expires")  # an older agent does not send it
    if is_covered(service.login_keys[0], session.settings.config.leave):
        session.terminal.say(
            "Tools that ask a keyring do not get it: `leave` in config.toml leaves this index to other"
            " keyrings."
        )
    if end is not None:
        its_own = adoption is not None and arguments.lifetime is None
        what = "The token that its keyring has now ends" if its_own else "It will be deleted"
        session.terminal.say(f"{what} {ahead_text(end, time() - 1)}.")
    session.write_json(
        {
            "service": stored[0]["service"],
            "username": username,
            "provider": provider,
            "replaced": any(one["replaced"] for one in stored),
            "kept": any(one["kept"] for one in stored),
            "adopted": bool(arguments.adopt),
            "sealed": bool(arguments.sealed),
            "projects": projects,
            "expires": timestamp(end),
            "check": checked,
            "stored": stored,
        }
    )
