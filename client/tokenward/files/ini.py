"""Files for Python's configparser: where the settings are in the text, and inserting more.

For keyringrc.cfg, pip.conf and .pypirc. A line goes directly below its section's heading, with the
indentation of the next setting. Then the text is parsed again: it must have the same settings and
the new ones, or the file is left alone. So a file that this module misreads is never damaged.

https://docs.python.org/3/library/configparser.html
"""

from __future__ import annotations

import configparser
import re

from tokenward.files.draft import (
    BEFORE,
    NOTE,
    NOTES,
    Draft,
    ForeignSettingError,
    Setting,
    UneditableFileError,
)

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def parse(text: str) -> configparser.RawConfigParser:
    """Parse a text. Raises UneditableFileError."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:  # its message quotes the line, which may hold a secret
        raise UneditableFileError from None
    return parser


def settings(text: str) -> list[Setting]:
    """Return the options of a valid text: section and option in lower case, and the lines.

    Lines that are indented deeper than their option continue it; comments and empty lines between
    are not part of it.
    """
    return [it for it in _headings_and_settings(text) if len(it.names) > 1]


def _headings_and_settings(text: str) -> list[Setting]:
    found: list[Setting] = []
    section, indent, inside = "", 0, False
    for line in _LINE.finditer(text):
        stripped = line[0].strip()
        if not stripped or stripped[0] in "#;":
            continue
        depth = len(line[0]) - len(line[0].lstrip())
        if inside and depth > indent:
            last = found.pop()
            found.append(Setting(last.names, (*last.spans, line.span())))
            continue
        indent = depth
        heading = re.match(r"\[(.+)\]", stripped)
        inside = heading is None
        if heading:
            section = heading[1]
            found.append(Setting((section,), (line.span(),)))
        else:
            option = re.split("[=:]", stripped, maxsplit=1)[0].strip().lower()
            found.append(Setting((section, option), (line.span(),)))
    return found


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
    if said.has_section(section):
        for key, value in reversed(new.items()):
            _put_line(draft, section, key, value, replaces=key in old)
    else:
        blank = [""] if draft.text else []
        lines = [*blank, NOTES, f"[{section}]", *(f"{k} = {v}" for k, v in new.items())]
        draft.add(len(draft.text), *lines)
    if _content(parse(draft.text)) != _content(said) | {section: {**old, **values}}:
        raise UneditableFileError


def _put_line(draft: Draft, section: str, key: str, value: str, *, replaces: bool) -> None:
    inside = [it for it in _headings_and_settings(draft.text) if it.names[0] == section]
    headings = [it.spans[0][1] for it in inside if len(it.names) == 1]
    options = {it.names[1]: it.spans[0] for it in reversed(inside) if len(it.names) > 1}
    if not headings or (replaces and key not in options):
        raise UneditableFileError
    first = draft.text[slice(*min(options.values()))] if options else ""
    indent = first[: len(first) - len(first.lstrip())]
    lines = (f"{indent}{NOTE}", f"{indent}{key} = {value}")
    if replaces:
        draft.add(options[key][0], *lines, comment=f"{indent}{BEFORE}")
    else:
        draft.add(headings[-1], *lines)


def _content(parser: configparser.RawConfigParser) -> dict[str, dict[str, str]]:
    return {name: dict(parser[name]) for name in parser.sections()}
