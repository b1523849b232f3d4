"""uv's settings files, found and read as uv documents it.

- User: `$XDG_CONFIG_HOME/uv/uv.toml`, else `~/.config/uv/uv.toml` (on macOS too).
- System: `uv/uv.toml` in the first of `$XDG_CONFIG_DIRS` (default `/etc/xdg`) that has it, else
  `/etc/uv/uv.toml`.
- Project: the nearest directory upward, from the workspace's root if there is a workspace, that has
  a `uv.toml`, or a `pyproject.toml` with `[tool.uv]`; with both, `uv.toml` wins.
- `UV_NO_CONFIG` switches all of them off; `UV_CONFIG_FILE` replaces all of them.

https://docs.astral.sh/uv/concepts/configuration-files/

Besides today's `[[index]]` with `name`, `url`, `publish-url`, the forms `index = "URL"`,
`index-url`, `extra-index-url` and `extra-index-urls` are read. So are `keyring-provider`, unless
`auth setup` wrote it, and `auth-cache-dir`; effective.py decides whether they are obeyed. Nothing is
written.
"""

from __future__ import annotations

import os

from tokenward.errors import CommandError
from tokenward.files.reading import parse_toml, read, upward
from tokenward.settings.service_names import Definition
from tokenward_protocol import places
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


UV_PROVIDER = ("keyring-provider", "subprocess")
"""The setting by which uv asks a `keyring` program, as `auth setup` writes it."""


class UvSettings(Record):
    """The settings for indexes and credentials in one of uv's files."""

    file: str
    data: bytes
    definitions: tuple[Definition, ...] = ()
    unnamed: tuple[str, ...] = ()
    keyring_provider: str | None = None
    auth_cache_dir: str | None = None
    searched: tuple[str, ...] = ()
    explicit: tuple[str, ...] = ()
    has_default: bool = False

    @property
    def chosen_provider(self) -> str | None:
        """The provider that the user chose: not the one that `auth setup` wrote."""
        from tokenward.files.draft import NOTE

        ours = f'{NOTE}\n{UV_PROVIDER[0]} = "{UV_PROVIDER[1]}"'.encode()
        return None if ours in self.data.replace(b"\r\n", b"\n") else self.keyring_provider


def user_settings(environ: Mapping[str, str], home: str) -> UvSettings | None:
    """Read the user's uv.toml, or the file that UV_CONFIG_FILE names. Raises CommandError."""
    if _is_switched_off(environ):
        return None
    if named := environ.get("UV_CONFIG_FILE"):
        return _uv_toml(os.path.join(os.getcwd(), named))
    return _uv_toml(places.uv_file(environ, home))


def system_settings(environ: Mapping[str, str]) -> UvSettings | None:
    """Read the first system-wide uv.toml that exists. Raises CommandError."""
    if _is_switched_off(environ) or environ.get("UV_CONFIG_FILE"):
        return None
    return next(filter(None, map(_uv_toml, places.uv_system_files(environ))), None)


def project_settings(environ: Mapping[str, str], directory: str) -> UvSettings | None:
    """Read the settings of the project around `directory` (absolute). Raises CommandError."""
    if _is_switched_off(environ) or environ.get("UV_CONFIG_FILE"):
        return None
    for folder in upward(_workspace_root(directory) or directory):
        if found := settings_in(folder):
            return found
    return None


def settings_in(directory: str) -> UvSettings | None:
    """Read the settings in `directory` itself: uv.toml, else [tool.uv]. Raises CommandError."""
    if found := _uv_toml(f"{directory}/uv.toml"):
        return found
    path = f"{directory}/pyproject.toml"
    if (data := read(path)) is None:
        return None
    table = _table(_table(parse_toml(data, path), "tool"), "uv", None)
    return None if table is None else parse_uv_settings(table, path, data)


def parse_uv_settings(table: dict[str, Any], path: str, data: bytes) -> UvSettings:
    """Pick out the settings for tokenward; the format is uv's, so other forms are ignored."""
    definitions: list[Definition] = []
    unnamed: list[str] = []
    indexes: dict[bool, list[str]] = {True: [], False: []}  # True: only for some packages
    has_default = _text(table, "index-url") is not None
    index = table.get("index")
    for entry in index if isinstance(index, list) else [index]:
        if isinstance(entry, str):
            unnamed.append(entry)
            indexes[False].append(entry)
        elif isinstance(entry, dict):
            name, url = _text(entry, "name"), _text(entry, "url")
            publish_url = _text(entry, "publish-url")
            is_explicit = entry.get("explicit") is True
            has_default |= entry.get("default") is True and not is_explicit
            if url:
                indexes[is_explicit].append(url)
            if name and (url or publish_url):
                definitions.append(Definition(name, url or publish_url or "", path, publish_url))
            elif url:
                unnamed.append(url)
    for key in ("index-url", "extra-index-url", "extra-index-urls"):
        value = table.get(key)
        values = value if isinstance(value, list) else [value]
        legacy = [url for url in values if isinstance(url, str)]
        unnamed += legacy
        indexes[False] += legacy
    return UvSettings(
        path,
        data,
        tuple(definitions),
        tuple(unnamed),
        _text(table, "keyring-provider"),
        _text(table, "auth-cache-dir"),
        tuple(indexes[False]),
        tuple(indexes[True]),
        has_default,
    )


def _uv_toml(path: str) -> UvSettings | None:
    data = read(path)
    return None if data is None else parse_uv_settings(parse_toml(data, path), path, data)


def _workspace_root(start: str) -> str | None:
    """Return the root of the workspace of the nearest project upward, or None."""
    member: str | None = None
    for folder in upward(start):
        path = f"{folder}/pyproject.toml"
        try:
            data = read(path)
            if data is None:
                continue
            tools = _table(parse_toml(data, path), "tool")
        except CommandError:
            return None  # the reader of the file's settings reports it
        workspace = _table(_table(tools, "uv"), "workspace", None)
        if workspace is not None and (member is None or _holds(folder, workspace, member)):
            return folder
        member = member or folder
    return None


def _holds(root: str, workspace: dict[str, Any], member: str) -> bool:
    from pathlib import PurePath

    path = PurePath(member).relative_to(root)

    def matches(key: str) -> bool:
        patterns = workspace.get(key, [])
        return isinstance(patterns, list) and any(
            isinstance(pattern, str) and _matches(path.parts, PurePath(pattern).parts)
            for pattern in patterns
        )

    return matches("members") and not matches("exclude")


def _matches(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Match `*` within one segment and `**` over any number, like uv's glob."""
    from fnmatch import fnmatchcase

    if not patterns:
        return not parts
    first, *rest = patterns
    if first == "**":
        return any(_matches(parts[skip:], tuple(rest)) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], first) and _matches(parts[1:], tuple(rest))


def _is_switched_off(environ: Mapping[str, str]) -> bool:
    return environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on", "y", "t"}


def _table(table: dict[str, Any], key: str, default: Any = ()) -> Any:
    value = table.get(key)
    return value if isinstance(value, dict) else dict(default) if default is not None else None


def _text(table: dict[str, Any], key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) and value else None
