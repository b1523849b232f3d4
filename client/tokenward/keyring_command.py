"""The program `keyring` as pip, uv, pdm and build call it, answered by tokenward.

    keyring get SERVICE USER                        the secret
    keyring get SERVICE [USER] --mode creds         user name and secret, a line each
    keyring ... --output json                       the same as a JSON object
    keyring set SERVICE USER                        the secret comes by stdin
    keyring del SERVICE USER

Options stand before or after, with a blank or `=`. Everything else, a miss, and storing an entry
that is not for an index end silently with `PASS_ON`: the script around this
(keyring_program/standalone.py) then calls the next `keyring` on PATH. The only prompt is for the
secret of a `set`, and the only output is the requested one. It runs without site-packages, so it
imports next to nothing.
"""

from __future__ import annotations

import os
import sys

from tokenward.ending import leave
from tokenward.keyring_program.client import (
    RelayError,
    Unavailable,
    ask,
    is_here,
    is_in_run,
    must_withhold,
    relay,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, PASS_ON, INTERRUPTED = 0, 1, 75, 130

_CHOICES = {"--mode": ("password", "creds"), "--output": ("plain", "json")}


def main(argv: Sequence[str]) -> int:
    """Do what `argv` (without the program's name) asks for, and end; or return the exit status."""
    try:
        return leave(_main(argv))
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(argv: Sequence[str]) -> int:
    read = None if is_in_run() else _read(argv)
    if read is None:
        return PASS_ON
    words, options = read
    match words:
        case ["get", service, *user] if len(user) < 2:
            return _get(service, user[0] if user else None, options)
        case ["set", service, user] if not options:
            return _set(service, user)
        case ["del", service, user] if not options:
            return _relay("del", service, user) if is_here(service, user) else PASS_ON
    return PASS_ON


def _read(argv: Sequence[str]) -> tuple[list[str], dict[str, str]] | None:
    """Split words from options; return None if an option or a value is unknown."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(argv)
    for word in rest:
        if not word.startswith("-"):
            words.append(word)
            continue
        name, mark, value = word.partition("=")
        value = value if mark else next(rest, "")
        if value not in _CHOICES.get(name, ()):
            return None
        options[name] = value
    return words, options


def _get(service: str, username: str | None, options: dict[str, str]) -> int:
    creds, as_json = options.get("--mode") == "creds", options.get("--output") == "json"
    if username is None and not creds:
        return PASS_ON  # an error, for the real program to report
    try:
        found = ask(service, (username or None) if creds else username)
    except Unavailable as shut:
        return FAILED if must_withhold(shut, service) else PASS_ON
    if found is None:
        return PASS_ON
    text = "\n".join(found) if creds else found[1]
    if as_json:
        import json

        text = json.dumps(
            dict(zip(("username", "password"), found, strict=True)) if creds else {"password": text}
        )
    line = text.encode() + b"\n"
    try:
        while line:
            line = line[os.write(1, line) :]
    except OSError:
        return FAILED  # stdout has no reader
    return DONE


def _set(service: str, username: str) -> int:
    if not is_here(service, username):
        return PASS_ON
    from tokenward.errors import CommandError
    from tokenward.ui.secret_input import MAX_INPUT, is_typed, read_stdin, text_of

    try:
        if is_typed():
            password = _ask_for_secret(f"Password for '{username}' in '{service}': ")
        else:
            password = text_of(read_stdin(MAX_INPUT))
    except CommandError as failed:
        sys.stderr.write(f"keyring: {failed}{f' ({failed.hint})' if failed.hint else ''}\n")
        return FAILED
    return _relay("set", service, username, password)


def _ask_for_secret(question: str) -> str:
    """Ask for a secret on the terminal. Raises CommandError."""
    from tokenward.errors import CommandError
    from tokenward.ui.secret_input import one_line

    if sys.platform == "win32":
        from tokenward.windows.console import Console
    else:
        from tokenward.ui.prompt import Console
    try:
        return one_line(Console().hidden_line(question), "The answer").decode()
    except (OSError, EOFError):
        why = "No secret was given: it is typed on a terminal, or comes by stdin."
    except UnicodeDecodeError:
        why = "The answer is not UTF-8."
    raise CommandError(why)


def _relay(op: str, service: str, username: str, password: str | None = None) -> int:
    try:
        relay(op, service, username, password)
    except RelayError as refused:
        if op == "del" and not refused.stored:
            return PASS_ON
        sys.stderr.write(f"keyring: {refused}\n")
        return FAILED
    return DONE
