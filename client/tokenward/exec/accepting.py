"""What the environment of a login names towards its index: relays use the same for that credential.

The environment of a run may name certificates and a proxy, too, but whoever asks for a run chooses
that. So a login tells the agent which ones it finds, by their marks (reach.py compares them).
"""

from __future__ import annotations

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session

_ENDINGS = ("_proxy", "_cert", "_cert_file", "_cert_dir", "_ca_bundle")
"""How the names of variables end that say how an index is reached."""


def marks_of_login(session: Session, key: str, name: str | None) -> str | None:
    """Return the marks of what this environment names towards an index, and say so; None for nothing.

    `name` is what the user's files call the index, if they do.
    """
    environ, config = session.environ, session.settings.config
    named = [each for each in environ if each.lower().endswith(_ENDINGS) and environ[each]]
    if not named or not key.startswith("https:"):
        return None
    from tokenward.exec.reach import read_reach
    from tokenward.exec.relay import host_of
    from tokenward.settings.service_names import env_form
    from tokenward.ui.formatting import join_words
    from tokenward_protocol.reach_marks import MOST_MARKS, marks_text

    names = [env_form(name)] if name else []
    try:
        reach = read_reach(environ, [host_of(key)], names, config.ca, config.proxy)
    except CommandError as why:  # a run says so, too
        session.terminal.detail(f"Relays use nothing of this environment: {why}")
        return None
    marks = reach.marks()
    if not marks:
        return None
    variables = [each.variable for each in reach.named]
    said = join_words([*variables, reach.variable] if reach.hosts else variables)
    if len(marks) > MOST_MARKS:
        session.terminal.warn(
            f"No relay uses what {said} names: these are more than {MOST_MARKS} certificates that the"
            " system does not have.",
            "`ca` in config.toml can name the file",
        )
        return None
    session.terminal.say(f"Relays use what {said} names here, for this credential.")
    return marks_text(marks)
