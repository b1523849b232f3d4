"""`auth logout`: remove exactly the named credential.

It asks before it removes several (`--all`) on a terminal, unless `--yes`. It calls an index only
with `--revoke`, or to revoke a token that was minted here; otherwise it says that the credential is
still valid at the index, and how the user can end that.
"""

from __future__ import annotations

from tokenward.credentials import lookup, unlocking
from tokenward.credentials.listing import list_stored
from tokenward.credentials.narrowing import Restriction, read_restriction
from tokenward.errors import CommandError, exclude
from tokenward.indexes import minted_tokens
from tokenward.transport.connect import AgentError
from tokenward.ui import secret_input
from tokenward.ui.formatting import (
    capitalise,
    count_of,
    credential_text,
    join_words,
    whose_text,
)
from tokenward.ui.secret_input import TOKEN_USER
from tokenward_protocol.messages import COMMAND, MEMORY
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.settings.service_names import Service

    Entry = dict[str, Any]


NONE = Restriction()


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_service("the index: pypi (default), testpypi, a URL or a configured name")
    parser.add_username("whose credential; needed if several are stored for the index")
    parser.add_provider("remove it only from that provider's vault")
    parser.add_option(
        "--project",
        "NAME",
        "of several tokens, the one for just this project; may be repeated",
        action="append",
    )
    parser.add_flag("--all", "every account of SERVICE; without SERVICE every stored credential")
    parser.add_flag("--revoke", "first revoke the token at the index, if its API allows that")
    parser.add_flag("--forget", "with --revoke: also remove it if it was not revoked")
    parser.add_flag("--purge", "also delete an adopted credential from its keyring")
    parser.add_flag("--yes", "with --all: never ask")
    parser.examples(
        "auth logout                           the token for PyPI",
        "auth logout https://h.example -u bob  bob's password there",
        "auth logout --project mine            of several tokens for PyPI, that for mine",
        "auth logout https://gitlab.example/api/v4/projects/7/packages/pypi/ --revoke",
        "auth logout --all                     every credential, after a yes",
        "auth logout --all --yes               in a script",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Remove the credential, and say where it is still valid."""
    if arguments.all:
        one = {"--no-username": arguments.no_username, "--username": arguments.username}
        exclude("--all", one, "`--all` removes every account")
        exclude("--all", {"--project": arguments.project}, "`--all` removes every token")
    if arguments.forget and not arguments.revoke:
        raise CommandError(
            "`--forget` needs `--revoke`.", "a logout without `--revoke` removes it in any case"
        )
    keys: tuple[str, ...] | None = None
    username: str | None = None
    service: Service | None = None
    if not arguments.all or arguments.service is not None:
        service = lookup.service_or_word(session, arguments.service, arguments.keyring_provider)
        username = secret_input.chosen_username(
            arguments.username, service.username, service.password, none=arguments.no_username
        )
        if arguments.all and username is not None:
            raise CommandError("`--all` and a user name in the URL exclude each other.")
        keys = service.logout_keys
    if arguments.all and not arguments.yes and session.terminal.is_there():
        _agree_to_remove_all(session, keys)
    if arguments.revoke:
        _revoke(arguments, session, keys, username)
        return
    tokens = minted_tokens.held_tokens(session.ask_once, keys)
    removed, count = _remove_all(arguments, session, keys, username, service)
    _say_removed(session, removed, count)
    gone = {entry["service"] for entry in removed if _is_minted(entry)}
    burnt = minted_tokens.burn(session, [token for token in tokens if token.service in gone])
    for entry in removed:
        entry["revoked"] = _is_minted(entry) and entry["service"] in burnt
    _say_aftermath(session, [entry for entry in removed if not _is_minted(entry)], could=True)
    if any(entry["provider"] == COMMAND for entry in removed):
        session.terminal.say("What the command made is forgotten here, and valid until its end.")
    session.write_json({"removed": removed, "count": count, "kept": []})


def _agree_to_remove_all(session: Session, keys: tuple[str, ...] | None) -> None:
    """Name what `--all` means, and ask. Raises CommandError for a no."""
    entries, closed = list_stored(session)
    meant = [entry for entry in entries if keys is None or entry["service"] in keys]
    if not meant and not closed:
        return  # the agent says that nothing is stored there
    for entry in meant[:_NAMED]:
        session.terminal.say(f"{capitalise(credential_text(entry['username'], entry['service']))}.")
    if len(meant) > _NAMED:
        session.terminal.say(f"And {count_of(len(meant) - _NAMED, 'more credential')}.")
    what = "this credential" if len(meant) == 1 else f"these {len(meant)} credentials"
    if not session.terminal.confirm(f"Remove {what if meant else 'every credential'}?"):
        raise CommandError("Nothing was removed.")


_NAMED = 10
"""Credentials that are named before the question."""


def _is_minted(entry: Entry) -> bool:
    return bool(entry["provider"] == MEMORY)


def _revoke(
    arguments: Namespace, session: Session, keys: tuple[str, ...] | None, username: str | None
) -> None:
    """Revoke; remove what was revoked or cannot be revoked, and with `--forget` the rest."""
    from tokenward.indexes import revoking
    from tokenward_protocol.index_reply import WebError

    provider = arguments.keyring_provider
    if arguments.all:
        meant = revoking.all_targets(session, keys, provider)
    else:
        meant = revoking.targets_of_each(session, keys or (), username, provider, _entry(arguments))
    if not meant:
        raise _nothing(keys, username)
    revoker = revoking.Revoker(session)
    removed: list[Entry] = []
    kept: list[Entry] = []
    for one in meant:
        entry: Entry = one._asdict()
        name = credential_text(one.username, one.service)
        try:
            entry["revoked"] = revoker.revoke(one)
        except WebError as failed:
            session.terminal.warn(
                f"{capitalise(name)} was not revoked at its index: {failed}", failed.hint
            )
            entry["revoked"] = False
            if not arguments.forget:
                kept.append(entry)
                continue
        _remove(arguments, session, one.service, one.username, entry=one.entry)
        session.terminal.say(f"Removed {name}.")
        removed.append(entry)
    _say_aftermath(session, [entry for entry in removed if not entry["revoked"]], could=False)
    session.write_json({"removed": removed, "count": len(removed), "kept": kept})
    if kept:
        raise CommandError(
            f"{count_of(len(kept), 'credential')} could not be revoked, and"
            f" {'stays' if len(kept) == 1 else 'stay'} stored.",
            "try again; with `--forget` it is removed without being revoked",
        )


def _remove_all(
    arguments: Namespace,
    session: Session,
    keys: tuple[str, ...] | None,
    username: str | None,
    service: Service | None,
) -> tuple[list[Entry], int]:
    """Remove under each key, or everything; a key that holds nothing is not an error."""
    removed: list[Entry] = []
    count = 0
    for key in keys or (None,):
        try:
            found, number = _remove(
                arguments,
                session,
                key,
                username,
                every=arguments.all,
                entry=_entry(arguments),
                typed=service.spelling_of(key) if service and key else None,
            )
        except AgentError as refused:
            if refused.code != "not-found":
                raise
            continue
        removed += found
        count += number
        if not arguments.all:
            username = found[0]["username"]
    if not removed:
        raise _nothing(keys, username)
    return removed, count


def _remove(
    arguments: Namespace,
    session: Session,
    key: str | None,
    username: str | None,
    *,
    every: bool = False,
    typed: str | None = None,
    entry: str | None = None,
) -> tuple[list[Entry], int]:
    header = unlocking.ask(
        session,
        "logout",
        service=None if typed else key,
        spelling=typed,
        username=username,
        provider=arguments.keyring_provider,
        all=True if every else None,
        entry=entry,
        purge=True if arguments.purge else None,
    ).header
    return [
        {
            **{k: each[k] for k in ("service", "username", "provider")},
            "projects": each.get("projects"),
        }
        for each in header["removed"]
    ], header["count"]


def _entry(arguments: Namespace) -> str | None:
    """Return the entry that the options name, None for none."""
    if not arguments.project:
        return None
    return " ".join(sorted(read_restriction(arguments.project, None, otherwise=NONE).projects))


def _nothing(keys: tuple[str, ...] | None, username: str | None) -> CommandError:
    if keys is None:
        return CommandError("Nothing is stored, so nothing was removed.")
    who = whose_text(username)
    return CommandError(
        f"No credential{who} is stored for {display(keys[0])}.",
        "`auth list` shows what is stored",
    )


def _say_removed(session: Session, removed: list[Entry], count: int) -> None:
    for entry in removed:
        which = f" ({join_words(entry['projects'])})" if entry["projects"] else ""
        name = credential_text(entry["username"], entry["service"])
        session.terminal.say(f"Removed {name}{which}.")
    if count > len(removed):
        session.terminal.say(f"Removed {count_of(count - len(removed), 'more credential')}.")


def _say_aftermath(session: Session, valid: list[Entry], *, could: bool) -> None:
    """Say where removed credentials are valid still; `could`: `--revoke` was possible."""
    valid = [entry for entry in valid if entry["provider"] != COMMAND]
    if not valid:
        return
    from tokenward.indexes.place import endpoint_of
    from tokenward_protocol.index_endpoint import REVOCABLE

    if len(valid) > 1:
        session.terminal.say(
            "They are still valid at their indexes until they are revoked or changed there."
        )
    else:
        (entry,) = valid
        changed = "" if entry["username"] == TOKEN_USER else " or changed"
        name = display(entry["service"])
        session.terminal.say(f"It is still valid at {name} until it is revoked{changed} there.")
    definitions = session.settings.config.definitions
    places = [endpoint_of(entry["service"], definitions) for entry in valid]
    if could and any(endpoint.kind in REVOCABLE for endpoint in places):
        session.terminal.hint("`--revoke` would have revoked it there, if it is a token")
    for page in dict.fromkeys(endpoint.page for endpoint in places):
        session.terminal.hint(page and f"revoke it at {page}")
