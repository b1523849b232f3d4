"""What `auth login` tells a person on a terminal, before it asks and after it stored something.

Before: on which page a token is made (`--web` opens it), and where the credential will be kept.
After: whether the index takes the credential, and what to type next. The index is asked for five
seconds at most, after the credential is stored, and whatever it says changes nothing that was
stored. Scripts get none of this.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from tokenward.errors import CommandError
from tokenward.indexes.place import endpoint_of
from tokenward.ui.formatting import join_words
from tokenward_protocol.urls import PAGES, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.commands import Session
    from tokenward.settings.service_names import Service

CHECK_SECONDS = 5.0
"""Seconds that the index has for each request."""


def is_wanted(session: Session) -> bool:
    """Return whether a user reads along; a script gets none of this."""
    return session.terminal.is_there() and not session.json


def page_of(service: Service, session: Session) -> str:
    """Return the page on which a user makes tokens for a service, or ""."""
    return endpoint_of(service.publish_key, session.settings.config.definitions).page


def open_page(service: Service, session: Session) -> None:
    """Open that page in the user's browser. Raises CommandError if there is no such page."""
    page = page_of(service, session)
    name = display(service.publish_key)
    if not page:
        raise CommandError(
            f"The page on which {name} makes tokens is not known.",
            "open it yourself, and leave `--web` out",
        )
    import webbrowser

    if not webbrowser.open(page):
        session.terminal.warn(f"No browser could be opened for this page: {page}")


def tell_where_tokens_are_made(service: Service, session: Session) -> None:
    """Say where a token comes from, before the prompt for it."""
    page = page_of(service, session)
    if page and service.publish_key in PAGES:
        session.terminal.say(
            f"Make a token, for one project if you can, and paste it here: {page}",
            "`auth login --web` opens that page" if service.name == "pypi" else "",
        )
    elif page:
        session.terminal.say(f"This index makes tokens here: {page}")


def ask_index(session: Session, key: str, username: str, secret: str) -> str | None:
    """Ask the index about a credential that is stored, and say what it said.

    Return the verdict's state, None if it could not be asked.
    """
    from time import time

    from tokenward.indexes.checking import ask_verdict, tell_clock
    from tokenward.indexes.web import Web
    from tokenward_protocol.index_check import REFUSED, UNKNOWN
    from tokenward_protocol.index_reply import WebError

    try:
        found, web = ask_verdict(
            session, key, username, secret, Web(session.environ, time, CHECK_SECONDS)
        )
    except WebError as failed:
        session.terminal.say(f"It was not tried: {failed}", "`auth token --check` tries it later")
        return None
    tell_clock(session, key, web)
    if found.state == REFUSED:
        session.terminal.warn(
            f"It is stored, but the index refuses it: {found.message}",
            f"`auth login {display(key)}` stores another one",
        )
    elif found.state != UNKNOWN:
        session.terminal.say(found.message)
    return found.state


def tell_next(session: Session, service: Service) -> None:
    """Say what to type next: the setup if it would change something, else a first use."""
    if not is_wanted(session):
        return
    if sys.platform != "win32":  # where nothing can be set up yet
        from tokenward.commands.setup import known_accounts
        from tokenward.setup.pending import TOOLS_OF, pending_parts

        with suppress(CommandError):  # a broken file of a tool is for `auth setup` to report
            if found := pending_parts(session.environ, known_accounts(session)):
                tools = join_words([TOOLS_OF[part] for part in found])
                session.terminal.hint(f"next: `auth setup`, by which {tools} will use it")
                return
    name = service.name or display(service.key)
    index = "" if name == "pypi" else f" --index {name}"
    session.terminal.hint(
        f"next: `twine upload dist/*` or any other tool; `auth exec{index} -- COMMAND` for one that"
        " asks no keyring"
    )
