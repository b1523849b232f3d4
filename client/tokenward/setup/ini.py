"""Inserting lines into files for Python's configparser: keyringrc.cfg, pip.conf, .pypirc.

A line goes directly below its section's heading, with the indentation of the next line. Then the
text is parsed again: it must have the same settings and the new ones, or the file is left alone.
So a file that this module misreads is never damaged.
"""

from __future__ import annotations

import configparser
import re

from tokenward.settings.setup_mark import NOTE
from tokenward.setup.draft import BEFORE, NOTES
from tokenward.setup.step import ForeignSettingError, UneditableFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.setup.draft import Draft

_HEADING = re.compile(r"\[(.+)\]")


def parse(text: str) -> configparser.RawConfigParser:
    """Parse a text. Raises UneditableFileError."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:  # its message quotes the line, which may hold a secret
        raise UneditableFileError from None
    return parser


def put_values(draft: Draft, section: str, values: dict[str, str], *, over: bool = False) -> None:
    """Give the section these values; existing lines with the same values stay.

    Raises ForeignSettingError if it has another value (with `over` that becomes a comment), and
    UneditableFileError if the text cannot be edited safely. The draft may be unusable then.
    """
    said = parse(draft.text)
    old = dict(said[section]) if said.has_section(section) else {}
    new = {key: value for key, value in values.items() if old.get(key, "").strip() != value}
    if not new:
        return
    for key in new:
        if key in old and not over:
            raise ForeignSettingError(key)
    if not said.has_section(section):
        blank = [""] if draft.text else []
        lines = [*blank, NOTES, f"[{section}]", *(f"{k} = {v}" for k, v in new.items())]
        draft.add(len(draft.text), *lines)
    else:
        for key, value in reversed(new.items()):
            _put_line(draft, section, key, value, replaces=key in old)
    now = parse(draft.text)
    if _content(now) != _content(said) | {section: {**old, **values}}:
        raise UneditableFileError


def _put_line(draft: Draft, section: str, key: str, value: str, *, replaces: bool) -> None:
    below, indent, old = _places(draft.text, section, key)
    if below is None or (replaces and old is None):
        raise UneditableFileError
    line = f"{indent}{key} = {value}"
    if old is not None and replaces:
        draft.add(old, f"{indent}{NOTE}", line, comment=f"{indent}{BEFORE}")
    else:
        draft.add(below, f"{indent}{NOTE}", line)


def _places(text: str, section: str, key: str) -> tuple[int | None, str, int | None]:
    """Find the offset below a section's heading, its indentation, and the line of a key."""
    below: int | None = None
    indent: str | None = None
    inside, at = False, 0
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        bare = line.strip()
        start, at = at, at + len(line)
        if not bare or bare.startswith(("#", ";")):
            continue
        if heading := _HEADING.match(bare):
            inside = heading[1] == section
            below = at if inside else below
            continue
        if not inside:
            continue
        if indent is None:
            indent = line[: len(line) - len(line.lstrip())]
        if re.split("[=:]", bare, maxsplit=1)[0].strip().lower() == key:
            return below, indent or "", start
    return below, indent or "", None


def _content(parser: configparser.RawConfigParser) -> dict[str, dict[str, str]]:
    return {name: dict(parser[name]) for name in parser.sections()}
