"""A netrc: `machine HOST login NAME password SECRET`. A removal removes the whole entry.

pip and others would send an entry without its password as it is, instead of asking a keyring. An
entry is for a host, not for an index, and other programs read the file as well; so it is imported
only if the user's own files name an index on that host, or if the user names the host. The entry
`default` is for every host, so it cannot be stored.

https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html, and Python's
`netrc`, which has quotes and comments as well and through which pip and twine read it.
"""

from __future__ import annotations

import netrc
import os
import re
import sys
from typing import NamedTuple

from tokenward.sources.found import ForeignCredential, unreadable_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.files.draft import Span
    from tokenward.sources.found import KnownIndexes

_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|(?:[^ \t\r\n\\]|\\.)+', re.DOTALL)
_WORD = re.compile(rf"#[^\n]*|{_VALUE.pattern}", re.DOTALL)
_MACRO_END = re.compile(r"\n\r?\n")
_NAMES = {"login": "login", "user": "login", "account": "account", "password": "password"}


class _Token(NamedTuple):
    text: str
    span: Span


class _Entry:
    """One entry: its machine ("" for `default`), its values, and the positions of its tokens.

    Text before `floor` belongs to a macro.
    """

    def __init__(self, floor: int) -> None:
        self.machine = ""
        self.floor = floor
        self.values: dict[str, str] = {}
        self.tokens: list[Span] = []


def files(environ: Mapping[str, str], home: str) -> list[str]:
    """Return the file that NETRC names, else the one in the home directory."""
    return [os.path.abspath(environ.get("NETRC") or f"{home}/.netrc")]


def look(text: str, path: str, known: KnownIndexes) -> list[ForeignCredential]:
    """Return the entries with a password. Raises CommandError."""
    return [
        _credential_of(entry, path, known, _lines(text, entry))
        for entry in _entries(text, path)
        if entry.values.get("password")
    ]


def _credential_of(
    entry: _Entry, path: str, known: KnownIndexes, spans: list[Span]
) -> ForeignCredential:
    username, secret = entry.values.get("login", ""), entry.values["password"]
    place = f"machine {entry.machine}" if entry.machine else "default"
    roots = known.roots(entry.machine)
    if roots:
        return ForeignCredential(place, roots, username, secret, spans)
    problem, hint = (
        f"No file of yours names an index on {entry.machine}.",
        (f"`auth import netrc --host {entry.machine}` imports it all the same"),
    )
    if not entry.machine:
        problem = f"The entry `default` of {path} is for every host, so it is for no index."
        hint = "`auth login URL` stores it for one index"
    return ForeignCredential(
        place, (), username or "?", secret, spans, problem=problem, hint=hint, foreign=True
    )


def _entries(text: str, path: str) -> Iterator[_Entry]:
    """Yield the entries. Raises CommandError for a misplaced word."""
    entry: _Entry | None = None
    floor = 0
    tokens = _tokens(text)
    for token in tokens:
        if token.text in {"machine", "default", "macdef"}:
            if entry:
                yield entry
            entry = None if token.text == "macdef" else _Entry(floor)
            if token.text == "macdef":
                floor = _macro_end(text, token.span[1])
        elif entry is None or token.text not in _NAMES:
            raise unreadable_error(path, text.count("\n", 0, token.span[0]) + 1)
        if entry:
            entry.tokens.append(token.span)
        if token.text not in {"default", "macdef"}:
            value = next(tokens, None)
            if value is None or entry is None:
                raise unreadable_error(path, text.count("\n") + 1)
            entry.tokens.append(value.span)
            if token.text == "machine":
                entry.machine = value.text
            else:
                entry.values[_NAMES[token.text]] = value.text
    if entry:
        yield entry


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the words that are neither comments nor the body of a macro."""
    at, value = 0, False  # a value may look like a comment or a keyword
    while match := (_VALUE if value else _WORD).search(text, at):
        at = match.end()
        word = match[0]
        if word.startswith("#") and not value:
            continue
        if word.startswith('"'):
            word = word[1:-1]
        word = re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL)
        yield _Token(word, match.span())
        if word == "macdef" and not value:
            at = _macro_end(text, at)
        value = not value and (word == "machine" or word in _NAMES)


def _macro_end(text: str, at: int) -> int:
    """Return where a macro ends: after the empty line that closes it."""
    end = _MACRO_END.search(text, at)
    return end.end() if end else len(text)


def _lines(text: str, entry: _Entry) -> list[Span]:
    """Return the spans of an entry, line by line: whole lines if they hold nothing else.

    The empty lines above it are included, and blanks at the end of a line: Python's reader rejects
    a comment below either.
    """
    spans: dict[int, Span] = {}
    for start, end in entry.tokens:
        line = text.rfind("\n", 0, start) + 1
        spans[line] = (spans.get(line, (start, end))[0], end)
    found: list[Span] = []
    for line, (start, end) in spans.items():
        after = (text.find("\n", end) + 1) or len(text)
        before, behind = text[line:start].rstrip(), text[end:after]
        if behind.strip():
            found.append((start, end))
        elif before:
            found.append((line + len(before), end + len(behind.rstrip("\r\n"))))
        else:
            found.append((line, after))
    first = min(spans)
    if not text[first : spans[first][0]].strip():
        above = text[:first].rstrip(" \t\r\n")
        kept = max(text.find("\n", len(above)) + 1 if above else 0, entry.floor)
        if kept < first:
            found.append((kept, first))
    return found


def readable(text: str) -> bool:
    """Return whether Python's own reader, which is stricter than this one, accepts it."""
    data = text.encode()
    if sys.platform == "win32":
        return True  # it reads only files, and this text has none
    source, target = os.pipe()
    try:
        os.set_blocking(target, False)
        whole = os.write(target, data) == len(data) if data else True
        os.close(target)
        netrc.netrc(f"/dev/fd/{source}")
    except (netrc.NetrcParseError, OSError):
        return False
    else:
        return whole
    finally:
        os.close(source)
