"""What the environment of a client names towards an index: relays use the same for what it stores.

The environment of a run names certificates and a proxy, too, and so does that of a check, but any
program may ask for these and choose it. So each client that stores a credential tells the agent which ones it finds,
by their marks (reach.py compares them), and the agent goes by no others for that credential.
"""

from __future__ import annotations

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.reach.reach import Reach
    from tokenward.session import Session

_ENDINGS = ("_proxy", "_cert", "_cert_file", "_cert_dir", "_ca_bundle")
"""How the names of variables end that say how an index is reached."""

_OF_POETRY = "POETRY_CERTIFICATES_"
"""How those begin that name an index."""


def marks_here(session: Session, key: str, *, told: bool = True) -> str | None:
    """Return the marks of what this environment names towards an index; None for nothing.

    The user is `told` which variables name it, and of certificates that are too many.
    """
    try:
        reach = _reach_here(session, key)
    except CommandError as why:  # a run says so, too
        session.terminal.detail(f"Relays use nothing of this environment: {why}")
        return None
    marks = reach.marks() if reach is not None else []
    if reach is None or not marks:
        return None
    from tokenward.ui.formatting import join_words
    from tokenward_protocol.reach_marks import MOST_MARKS, marks_text

    variables = [each.variable for each in reach.named] + [reach.variable] * bool(reach.hosts)
    said = f"{join_words(variables)} {'names' if len(variables) == 1 else 'name'}"
    if len(marks) > MOST_MARKS:
        if told:
            session.terminal.warn(
                f"No relay uses what {said}: these are more than {MOST_MARKS} certificates that the"
                " system does not have.",
                "`ca` in config.toml can name the file",
            )
        return None
    if told:
        session.terminal.say_once(f"Relays use what {said} here, for what is stored now.")
    return marks_text(marks)


def asking_arguments(session: Session, key: str) -> tuple[dict[str, Any], bytes]:
    """Return what a request to have an index asked says of this environment: arguments and a body.

    That is nothing where it names what a relay goes by anyway. Raises CommandError for what no
    credential can accept.
    """
    try:
        reach = _reach_here(session, key)
    except CommandError as why:
        raise CommandError(str(why)) from None  # its hint is about runs
    if reach is None or not reach.marks():
        return {}, b""
    from tokenward.reach.reach import host_of, own_proxy
    from tokenward_protocol.reach_marks import MOST_MARKS

    if len(reach.marks()) > MOST_MARKS:
        reach.require_accepted(host_of(key), ())
    proxy = own_proxy(session.environ, "https")[1] if reach.hosts else ""
    return {"proxied": ",".join(reach.hosts) or None}, reach.text(proxy)


def _reach_here(session: Session, key: str) -> Reach | None:
    """Return how this environment reaches an index; None as a relay does. Raises CommandError."""
    environ, config = session.environ, session.settings.config
    named = [each for each in environ if each.lower().endswith(_ENDINGS) and environ[each]]
    if not named or not key.startswith("https:"):
        return None
    from tokenward.reach.reach import host_of, read_reach
    from tokenward_protocol.urls import strip_index_suffix

    names = []
    if any(each.startswith(_OF_POETRY) for each in named):
        place = strip_index_suffix(key)
        found = session.settings.own_names.by_variable()
        names = [form for form, service in found.items() if place in service.logout_keys]
    return read_reach(environ, [host_of(key)], names, config.ca, config.proxy)
